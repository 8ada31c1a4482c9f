"""A NAT student (arXiv 2312.12832) without qcrd: python nat.py "explain: QUESTION"

Reads the folder that this file lies in: PEFT's adapters `negative` and `positive`, the units that weigh the two in
`integrate.safetensors`, and their base, in `base` or wherever the adapters say. Needs torch, transformers, safetensors.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import gelu, linear
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

BEFORE = "base_model.model."
"""What PEFT puts before a module's name."""
CHAT = True
"""Whether it was asked in its tokeniser's chat template; the export says."""


class Integrated(nn.Module):
    """A projection W with both adapters: W x + V(h+) (1 - a) + V(h-) a, with h± = W x + LoRA±(x)."""

    def __init__(self, base: nn.Module, adapters: list[tuple[Tensor, Tensor]], scale: float, unit: dict[str, Tensor]):
        super().__init__()
        self.base, self.adapters, self.scale, self.unit = base, adapters, scale, unit

    def forward(self, x: Tensor) -> Tensor:
        plain = self.base(x)
        right, wrong = (plain + linear(linear(x, down), up) * self.scale for down, up in self.adapters)
        query = linear(x, self.unit["query.weight"], self.unit["query.bias"])
        keys = [linear(h, self.unit["key.weight"]) for h in (right, wrong)]
        a = torch.softmax(torch.stack([(query * key).sum(-1) for key in keys], dim=-1), dim=-1)[..., 1:] - 0.5
        found: Tensor = plain + self._value(right) * (1 - a) + self._value(wrong) * a
        return found

    def _value(self, h: Tensor) -> Tensor:
        hidden = gelu(linear(h, self.unit["value.0.weight"], self.unit["value.0.bias"]))
        return linear(hidden, self.unit["value.2.weight"], self.unit["value.2.bias"])


def load(folder: Path) -> Any:
    """The base with both adapters and their units."""
    settings = json.loads((folder / "positive" / "adapter_config.json").read_text())
    named = settings["base_model_name_or_path"]
    base = folder / named if (folder / named).is_dir() else named
    seq2seq = AutoConfig.from_pretrained(base).is_encoder_decoder
    kind: Any = AutoModelForSeq2SeqLM if seq2seq else AutoModelForCausalLM
    model: Any = kind.from_pretrained(base, dtype=torch.float32).eval()
    sides = [load_file(folder / side / "adapter_model.safetensors") for side in ("positive", "negative")]
    units: dict[str, dict[str, Tensor]] = {}
    for name, tensor in load_file(folder / "integrate.safetensors").items():
        module, _, part = name.removeprefix(BEFORE).partition(".integrate.")
        units.setdefault(module, {})[part] = tensor
    for module, unit in units.items():
        names = [f"{BEFORE}{module}.lora_{part}.weight" for part in "AB"]
        adapters = [(side[names[0]], side[names[1]]) for side in sides]
        scale = settings["lora_alpha"] / settings["r"]
        model.set_submodule(module, Integrated(model.get_submodule(module), adapters, scale, unit))
    return model


def answer(model: Any, tokenizer: Any, prompt: str, longest: int = 512) -> str:
    """The likeliest words after a prompt, which a causal model reads as the user's turn or as a line of its own."""
    causal = not model.config.is_encoder_decoder
    if causal and CHAT:
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True, return_dict=False
        )
    else:
        ids = tokenizer(f"{prompt}\n" if causal else prompt)["input_ids"]
    with torch.no_grad():
        found = model.generate(torch.tensor([ids]), max_new_tokens=longest, do_sample=False)[0]
    text: str = tokenizer.decode(found[len(ids) :] if causal else found, skip_special_tokens=True)
    return text


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    print(answer(load(here), AutoTokenizer.from_pretrained(here), " ".join(sys.argv[1:])))
