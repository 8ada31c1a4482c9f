"""NAT's adapters over one base: a LoRA of wrong rationales, one of right ones, and the unit that integrates the two.

Turning Dust into Gold (arXiv 2312.12832), section 3.2. At each adapted projection W, with h± = W x + LoRA±(x):

    p = softmax([Q(x) . K(h+), Q(x) . K(h-)])      unscaled, width 128                             (equation 4)
    a = p- - 0.5                                   in [-0.5, 0.5]: what is wrong may be subtracted  (equation 5)
    output = W x + V(h+) (1 - a) + V(h-) a         V: Linear, GELU, Linear, its last layer 0 at first

so that the first step leaves the base's output as it was. The released K and V have the input's width and are fed the
output, which fits square projections alone; ours have the output's.
"""

import shutil
from pathlib import Path
from types import MethodType
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.errors import QcrdError

WIDTH = 128
"""Of queries, keys and the hidden layer of values, as published."""
WRONG, RIGHT = "negative", "positive"
"""PEFT's names of the adapters."""
UNITS = "integrate.safetensors"
Mode = Literal["negative", "nat"]
"""negative: W x + LoRA-(x), which the first stage trains; nat: as above, of which the second trains LoRA+ and unit."""


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

    def forward(self, x: Tensor, right: Tensor, wrong: Tensor) -> Tensor:
        """(..., in), and h+ and h- (..., out) -> (..., out) what is added to W x."""
        query = self.query(x)
        toward = torch.stack([(query * self.key(right)).sum(-1), (query * self.key(wrong)).sum(-1)], dim=-1)
        corrected = torch.softmax(toward, dim=-1)[..., 1:] - 0.5
        self.corrected = corrected.detach()
        found: Tensor = self.value(right) * (1 - corrected) + self.value(wrong) * corrected
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
    trained = {"negative": (f".{WRONG}.",), "nat": (f".{RIGHT}.", ".integrate.")}[mode]
    for name, p in adapted.named_parameters():
        p.requires_grad_(any(part in name for part in trained))
        p.grad = None  # one left over would count when the next stage's gradient is clipped
    for layer in adapted.modules():
        if hasattr(layer, "integrate"):
            layer.mode = mode


def save(adapted: Any, folder: Path) -> None:
    """Both adapters in PEFT's form, each in a folder of its name, and the units in integrate.safetensors."""
    state = adapted.state_dict()
    adapted.save_pretrained(folder, selected_adapters=[WRONG, RIGHT], state_dict=_without_units(state))
    own = {name: p.detach().contiguous() for name, p in state.items() if ".integrate." in name}
    save_file(own, folder / UNITS)


def save_wrong(adapted: Any, folder: Path) -> None:
    """The adapter of wrong rationales: `folder` appears whole or not at all."""
    beside = folder.with_name(folder.name + ".partial")
    shutil.rmtree(beside, ignore_errors=True)
    adapted.save_pretrained(beside, selected_adapters=[WRONG], state_dict=_without_units(adapted.state_dict()))
    (beside / WRONG).rename(folder)
    shutil.rmtree(beside, ignore_errors=True)


def load_wrong(adapted: Any, folder: Path) -> None:
    """Puts back what `save_wrong` wrote. Raises QcrdError where it is not of this model."""
    from peft import set_peft_model_state_dict

    try:
        state = load_file(folder / "adapter_model.safetensors")
        found: Any = set_peft_model_state_dict(adapted, state, adapter_name=WRONG)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise QcrdError(
            f"{folder}: the adapter of wrong rationales cannot be read ({str(error).splitlines()[0]}); delete that "
            "folder and `qcrd resume` trains it again"
        ) from error
    if found.unexpected_keys:
        raise QcrdError(f"{folder}: the adapter of wrong rationales is of another model; delete that folder")


def _without_units(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What PEFT takes for an adapter's: all that lies within its layers."""
    return {name: p for name, p in state.items() if ".integrate." not in name}


def _forward(layer: Any, x: Tensor, *arguments: Any, **named: Any) -> Tensor:
    """A LoRA layer's output in its mode."""
    plain: Tensor = layer.base_layer(x, *arguments, **named)
    if layer.mode == "nat":
        right, wrong = plain + _lora(layer, RIGHT, x), plain + _lora(layer, WRONG, x)
        found: Tensor = plain + layer.integrate(x.to(plain.dtype), right, wrong)
        return found
    return plain + _lora(layer, WRONG, x)


def _lora(layer: Any, name: str, x: Tensor) -> Tensor:
    """What the adapter adds. A frozen one has no dropout: it says the same each time."""
    down, up = layer.lora_A[name], layer.lora_B[name]
    x = x.to(down.weight.dtype)
    if down.weight.requires_grad:
        x = layer.lora_dropout[name](x)
    found: Tensor = up(down(x)) * layer.scaling[name]
    return found
