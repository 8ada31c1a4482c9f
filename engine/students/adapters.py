"""LoRA (arXiv 2106.09685) and QLoRA (arXiv 2305.14314) through PEFT: a student whose own weights stay as they came."""

from collections.abc import Sequence
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import BitsAndBytesConfig, PreTrainedModel

from engine.errors import SpecError, UsageError
from engine.spec.run import RunSpec
from engine.spec.sections import LoraConfig
from engine.students import integrate

BASE = "base"
"""Folder of an export: what its adapters belong to, where that was made here."""


def check(spec: RunSpec, device: torch.device) -> None:
    """UsageError where weights cannot be quantised here."""
    if spec.student.lora.quantise == "none":
        return
    where = 'student.lora.quantise = "4bit"'
    if spec.student.lora.r == 0:
        raise SpecError(f"{where} trains adapters over frozen weights: set student.lora.r too, to 16 for example")
    if spec.student.model.startswith("builtin/"):
        raise SpecError(f'{where}: the built-in students are too small for it; use "none"')
    if device.type != "cuda":
        raise UsageError(f'{where} needs an NVIDIA GPU, and this run is on {device}; use "none"')
    if find_spec("bitsandbytes") is None:
        raise UsageError(f"{where} needs bitsandbytes: pip install bitsandbytes")


def loading(config: LoraConfig, device: torch.device) -> dict[str, Any]:
    """What `from_pretrained` is told: NF4 weights with quantised constants where asked for."""
    if config.quantise == "none":
        return {}
    four_bit = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return {"quantization_config": four_bit, "device_map": {"": device}}


def add(model: PreTrainedModel, config: LoraConfig, names: Sequence[str] = ("default",)) -> Any:
    """PEFT's wrapper; `model` itself has the adapters of those names from here on, and they alone are trained.

    Their first values come from torch's global generator. Raises UsageError where no module has a target's name.
    """
    from peft import LoraConfig as Lora
    from peft import get_peft_model

    # None: PEFT's own table of query and value projections by kind of model
    short: dict[tuple[str, ...], str | None] = {("auto",): "all-linear", ("query-value",): None}
    named = short.get(config.targets, list(config.targets))
    lora = Lora(r=config.r, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules=named)
    try:
        found = get_peft_model(model, lora, adapter_name=names[0])
        for name in names[1:]:
            found.add_adapter(name, deepcopy(lora))
        return found
    except ValueError as error:
        reason = str(error).strip().splitlines()[0]
        raise SpecError(f"student.lora.targets = {list(config.targets)!r}: {reason}") from error


def save(model: Any, adapted: Any, folder: Path) -> None:
    """The export: a plain model, or for NAT, which is none, its adapters and units, and a base that was made here."""
    if adapted is None or not integrate.units(adapted) or integrate.STUDENT in adapted.peft_config:
        plain(model, adapted).save_pretrained(folder)
        return
    integrate.save(adapted, folder)
    if model.name_or_path == BASE:
        state = {name: p for name, p in model.state_dict().items() if "lora_" not in name and ".integrate." not in name}
        base = {name.replace(".base_layer.", "."): p for name, p in state.items()}
        model.save_pretrained(folder / BASE, state_dict=base)


def plain(model: Any, adapted: Any) -> Any:
    """What is exported: the model with its adapters added into its weights; those of a quantised one by themselves.

    The model itself loses its adapters by it and goes on as a plain one: this comes last.
    """
    if adapted is None or not any("lora_" in name for name, _ in model.named_parameters()):
        return model
    if getattr(model, "is_quantized", False):
        return adapted
    # of NCE's adapters the student is one
    own = [integrate.STUDENT] if integrate.STUDENT in adapted.peft_config else None
    return adapted.merge_and_unload(adapter_names=own)
