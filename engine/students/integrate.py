"""NAT's adapters over one base: a LoRA of wrong rationales, one of right ones, and the unit that integrates the two.

Turning Dust into Gold (arXiv 2312.12832). At each adapted projection W, with h± = W x + LoRA±(x):

    p = softmax([Q(x) . K(h+), Q(x) . K(h-)])      unscaled, width 128
    a = p- - 0.5                                   in [-0.5, 0.5]: what is wrong may be subtracted
    output = W x + V(h+) (1 - a) + V(h-) a         V: Linear, GELU, Linear, its last layer 0 at first

so that the first step leaves the base's output as it was. The released K and V have the input's width and are fed the
output, which fits square projections alone; ours have the output's.

Computed without h±, which differ by what is of the adapters' rank, LoRA±(x) = B± A± x: K is linear, so that p- is the
sigmoid of Q(x) . K(B- A- x - B+ A+ x), whose product Q^T K B is a matrix of the rank's width; V's first layer reads
W x once and each A± x; its last layer reads (1 - a) and a times what both leave, as 1 - a + a = 1 keeps its bias.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MethodType
from typing import Any, Literal, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import linear

from engine.errors import QcrdError

WIDTH = 128
"""Of queries, keys and the hidden layer of values, as published."""
WRONG, RIGHT, STUDENT = "negative", "positive", "student"
"""PEFT's names of the adapters; NCE has the third, which NAT teaches."""
UNITS = "integrate.safetensors"
Mode = Literal["negative", "nat", "student"]
"""negative: W x + LoRA-(x), which the first stage trains; nat: as above, of which the second trains LoRA+ and unit;
student: W x + LoRA(x), NCE's own."""
STAGES: dict[str, Mode] = {"stage-negative": "negative", "stage-nat": "nat"}
"""Folders of a run, in order, in which stages before the last leave what they have trained."""
LEARNT: dict[Mode, tuple[str, ...]] = {
    "negative": (f".{WRONG}.",),
    "nat": (f".{RIGHT}.", ".integrate."),
    "student": (f".{STUDENT}.",),
}
"""Parts of the names of what each mode's stage trains."""


class Low(NamedTuple):
    """What an adapter adds, B A x times its scale, before it is multiplied out."""

    down: Tensor
    """(..., rank) A x."""
    up: Tensor
    """(out, rank) B times the scale."""


class Unit(nn.Module):
    """The integrate unit of one projection."""

    def __init__(self, width_in: int, width_out: int, width: int = WIDTH) -> None:
        super().__init__()
        self.query = nn.Linear(width_in, width)
        self.key = nn.Linear(width_out, width, bias=False)  # one would add as much to both of a softmax
        self.value = nn.Sequential(nn.Linear(width_out, width), nn.GELU(), nn.Linear(width, width_out))
        for p in self.value[2].parameters():
            nn.init.zeros_(p)
        self.corrected: Tensor | None = None
        """(..., 1) `a` of the last call, without gradient: the metric of a layer."""

    def forward(self, x: Tensor, plain: Tensor, right: Low, wrong: Low) -> Tensor:
        """(..., in), W x (..., out), LoRA+(x) and LoRA-(x) -> (..., out) what is added to W x."""
        keys = self.key.weight @ torch.cat([wrong.up, -right.up], dim=1)
        toward = linear(x, keys.T @ self.query.weight, self.query.bias @ keys)
        apart = (toward * torch.cat([wrong.down, right.down], dim=-1)).sum(dim=-1, keepdim=True)
        corrected = torch.sigmoid(apart) - 0.5
        self.corrected = corrected.detach()
        layers: list[Any] = list(self.value)
        first, between, last = layers
        both = first(plain)
        up = between(both + linear(right.down, first.weight @ right.up))
        down = between(both + linear(wrong.down, first.weight @ wrong.up))
        found: Tensor = last(up + (down - up) * corrected)
        return found


def attach(adapted: Any) -> None:
    """Gives every LoRA layer of PEFT's model a unit, and a forward pass that looks at its mode."""
    from peft.tuners.lora import LoraLayer

    layers: list[Any] = [layer for layer in adapted.modules() if isinstance(layer, LoraLayer)]
    for layer in layers:
        layer.integrate = Unit(layer.in_features, layer.out_features).to(layer.lora_A[RIGHT].weight.device)
        layer.mode = "nat"
        layer.forward = MethodType(_forward, layer)


def units(adapted: Any) -> dict[str, Unit]:
    """The units by the name of their projection; none where the model has no such adapters."""
    ending = ".integrate"
    return {
        name.removesuffix(ending).removeprefix("base_model.model."): module
        for name, module in adapted.named_modules()
        if isinstance(module, Unit) and name.endswith(ending)
    }


def learn(adapted: Any, mode: Mode) -> None:
    """The model computes in that mode, and what the mode's stage learns carries gradient: nothing else does."""
    for name, p in adapted.named_parameters():
        p.requires_grad_(any(part in name for part in LEARNT[mode]))
        p.grad = None  # one left over would count when the next stage's gradient is clipped
    switch(adapted, mode)


@contextmanager
def using(adapted: Any, mode: Mode, then: Mode) -> Iterator[None]:
    """Within it the model computes in that mode, in evaluation; afterwards in training, in the mode `then`."""
    switch(adapted, mode)
    adapted.eval()
    try:
        yield
    finally:
        switch(adapted, then)
        adapted.train()


def switch(adapted: Any, mode: Mode) -> None:
    """The model computes in that mode; what carries gradient stays as it is."""
    for layer in adapted.modules():
        if hasattr(layer, "integrate"):
            layer.mode = mode


def save(adapted: Any, folder: Path, modes: Sequence[Mode] = ("negative", "nat")) -> None:
    """What those modes' stages have trained: adapters in PEFT's form, each in a folder of its name, and the units."""
    state = adapted.state_dict()
    names = [name for mode, name in (("negative", WRONG), ("nat", RIGHT)) if mode in modes]
    within = {name: p for name, p in state.items() if ".integrate." not in name}  # PEFT would take them for its own
    adapted.save_pretrained(folder, selected_adapters=names, state_dict=within)
    if "nat" in modes:
        own = {name: p.detach().contiguous() for name, p in state.items() if ".integrate." in name}
        save_file(own, folder / UNITS)


def load(adapted: Any, folder: Path) -> None:
    """Puts back what `save` wrote to the folder. Raises QcrdError where that is not of this model."""
    from peft import set_peft_model_state_dict

    try:
        found: list[str] = []
        for name in (WRONG, RIGHT):
            if (folder / name).is_dir():
                state = load_file(folder / name / "adapter_model.safetensors")
                loaded: Any = set_peft_model_state_dict(adapted, state, adapter_name=name)
                found += loaded.unexpected_keys
        if (folder / UNITS).is_file():
            found += adapted.load_state_dict(load_file(folder / UNITS), strict=False).unexpected_keys
    except (OSError, RuntimeError, SafetensorError) as error:
        raise QcrdError(
            f"{folder}: its adapters cannot be read ({str(error).splitlines()[0]}); delete that folder and "
            "`qcrd resume` trains them again"
        ) from error
    if found:
        raise QcrdError(f"{folder}: its adapters are of another model; delete that folder")


def _forward(layer: Any, x: Tensor, *arguments: Any, **named: Any) -> Tensor:
    """A LoRA layer's output in its mode."""
    plain: Tensor = layer.base_layer(x, *arguments, **named)
    if layer.mode == "nat":
        found: Tensor = plain + layer.integrate(x.to(plain.dtype), plain, _low(layer, RIGHT, x), _low(layer, WRONG, x))
        return found
    added = _low(layer, WRONG if layer.mode == "negative" else STUDENT, x)
    return plain + linear(added.down, added.up)


def _low(layer: Any, name: str, x: Tensor) -> Low:
    """What the adapter adds. A frozen one has no dropout: it says the same each time."""
    down, up = layer.lora_A[name], layer.lora_B[name].weight
    x = x.to(down.weight.dtype)
    if down.weight.requires_grad:
        x = layer.lora_dropout[name](x)
    return Low(down(x), up * layer.scaling[name])
