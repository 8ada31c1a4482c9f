"""The memory that a training wants, estimated from the shapes of its models; none of them is made."""

import os
from dataclasses import dataclass
from typing import Any

from engine.spec.methods import OWN_ENCODERS, Qcrd
from engine.spec.run import RunSpec
from engine.spec.sections import BUILTIN_CAUSAL, BUILTIN_T5

BYTES_OF_4BIT = 0.55
"""A parameter in NF4, with its quantised constants."""
BYTES_PER_PARAMETER = 16
"""fp32: weight, gradient and AdamW's two moments."""
IMPORTED_BYTES = 490e6
"""Python with torch, transformers and litellm in a process on the CPU: VmRSS of /proc/self/status after importing
engine.runs.pipeline (370 MB) and litellm (488 MB), torch 2.13 without CUDA."""
ACTIVATION_BYTES = 68
"""Kept for the backward pass per token, layer and unit of width; arXiv 2205.05198 has 34 for fp16."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Of a student and its discriminator."""

    parameters: int
    """Of the student."""
    adapters: int
    """Parameters of adapters, which are trained alone; 0 without."""
    fixed: float
    """Bytes of weights, gradients and AdamW's moments, of all processes that share a memory."""
    moving: float
    """Bytes kept for one backward pass."""
    imported: float
    """Bytes of Python and its libraries; 0 where they are in another memory."""


def footprint(spec: RunSpec, words: Any, device: str, question: int) -> Footprint:
    """With the student's tokeniser, on a device of that type ("cpu", "cuda"), for questions of so many tokens.

    Raises UsageError where the student or the discriminator's encoder cannot be had.
    """
    from engine.students.load import encoder_config

    config = _config(spec, words)
    sizes = _sizes(config, spec.student.lora.r)
    judge = 0
    if isinstance(spec.method, Qcrd) and spec.method.judged:
        judge = sizes.encoder
        if spec.method.discriminator.encoder not in OWN_ENCODERS:
            judge = _sizes(encoder_config(spec.method.discriminator.encoder), 0).encoder
    frozen = 0.0
    trained = sizes.parameters + judge
    if sizes.adapters:
        trained = sizes.adapters + judge
        frozen = sizes.parameters * (BYTES_OF_4BIT if spec.student.lora.quantise == "4bit" else 4)
    sharing = spec.compute.processes if device == "cpu" else 1
    return Footprint(
        parameters=sizes.parameters,
        adapters=sizes.adapters,
        fixed=(trained * BYTES_PER_PARAMETER + frozen) * sharing,
        moving=_activations(spec, config, question),
        imported=IMPORTED_BYTES * sharing if device == "cpu" else 0.0,
    )


def memory(device: str) -> int | None:
    """Bytes that a device of that type has; None: it does not say."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[1])
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _config(spec: RunSpec, words: Any) -> Any:
    from engine.students import load, tiny

    if spec.student.model == BUILTIN_T5:
        return tiny.config(words)
    if spec.student.model == BUILTIN_CAUSAL:
        return tiny.causal_config(words)
    return load.config(spec)


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Parameters of a model."""

    parameters: int
    encoder: int
    """Of its encoder, or of the one that is made from it for a discriminator."""
    adapters: int
    """Of adapters on all its linear layers but the output's; 0 without."""


def _sizes(config: Any, rank: int) -> _Sizes:
    """Counted without making any."""
    import torch
    from transformers import AutoModel, AutoModelForCausalLM, T5ForConditionalGeneration
    from transformers.pytorch_utils import Conv1D

    from engine.students.causal import KINDS
    from engine.students.load import T5_KINDS

    model: Any
    causal: Any = AutoModelForCausalLM
    other: Any = AutoModel
    with torch.device("meta"):
        if config.model_type in T5_KINDS:
            model = T5ForConditionalGeneration(config)
        elif config.model_type in KINDS:
            model = causal.from_config(config)
        else:
            model = other.from_config(config)
    linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear | Conv1D)]
    adapted = sum(sum(m.weight.shape) for m in linear if m is not model.get_output_embeddings())
    encoder = model.encoder if config.model_type in T5_KINDS else model
    return _Sizes(
        parameters=sum(p.numel() for p in model.parameters()),
        encoder=sum(p.numel() for p in encoder.parameters()),
        adapters=rank * adapted,
    )


def _activations(spec: RunSpec, config: Any, question: int) -> int:
    """Bytes kept for one backward pass: two prompts, a label and about two rationales a question."""
    target = min(spec.student.max_rationale_tokens, spec.teacher.max_tokens, 2 * question)
    tokens = spec.training.batch_size * (2 * question + 2 * target)
    layers = config.num_layers + config.num_decoder_layers if config.is_encoder_decoder else config.num_hidden_layers
    logits = spec.training.batch_size * 2 * target * config.vocab_size * 4
    return int(tokens * layers * config.hidden_size * ACTIVATION_BYTES + logits)
