"""From `student.model` to a student: built in, a local folder, or a hub id, through the same code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase, T5ForConditionalGeneration
from transformers.utils.logging import disable_progress_bar

from engine.errors import QcrdError, UsageError
from engine.randomness import derive
from engine.spec.methods import Qcrd
from engine.spec.run import RunSpec
from engine.students import tiny
from engine.students.hub import reach
from engine.students.seam import Student
from engine.students.t5 import T5Student

BUILTIN = "builtin/t5-tiny"
T5_KINDS = ("t5", "mt5")
"""umt5 has a position bias in every layer, which T5's classes would drop."""


def tokenizer(spec: RunSpec, texts: Sequence[str]) -> PreTrainedTokenizerBase:
    """The student's tokeniser; the built-in student's is made from `texts`."""
    if spec.student.model == BUILTIN:
        return tiny.build_tokenizer(texts)
    _check_model(spec.student.model, "student.model")
    try:
        return AutoTokenizer.from_pretrained(spec.student.model)
    except (OSError, ValueError) as error:
        raise _not_loaded("student.model", spec.student.model, "tokeniser", error) from error


def student(spec: RunSpec, texts: Sequence[str], saved_tokenizer: Path) -> Student:
    """The student before its first step; its tokeniser is kept in `saved_tokenizer` for the run's next process.

    Raises UsageError where the model cannot be had or is of another kind.
    """
    disable_progress_bar()  # they are for terminals, and would end up in worker.log
    if not saved_tokenizer.is_dir():
        partial = saved_tokenizer.with_name(saved_tokenizer.name + ".partial")
        tokenizer(spec, texts).save_pretrained(partial)
        partial.rename(saved_tokenizer)  # whole or not at all: the process may be killed at any moment
    words: Any = AutoTokenizer.from_pretrained(saved_tokenizer)
    device = pick_device(spec.student.device)
    torch.manual_seed(derive(spec.seed, "student"))
    if spec.student.model == BUILTIN:
        model = tiny.build(words)
        position_bias_lr = tiny.POSITION_BIAS_LR
    else:
        model = _pretrained(spec.student.model)
        position_bias_lr = 1.0
    precision = spec.student.precision
    return T5Student(
        model,
        words,
        device=device,
        bf16=precision == "bf16" or (precision == "auto" and device.type == "cuda"),
        max_prompt=spec.student.max_question_tokens,
        max_target=spec.student.max_rationale_tokens,
        position_bias_lr=position_bias_lr,
    )


def pick_device(wanted: str) -> torch.device:
    """auto: the GPU if there is one."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError('student.device = "cuda", but torch sees no GPU here; use "auto" or "cpu"')
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def check(spec: RunSpec) -> None:
    """UsageError where the student, or the discriminator's encoder, cannot be had: asked before a teacher is paid."""
    pick_device(spec.student.device)
    _check_model(spec.student.model, "student.model")
    if isinstance(spec.method, Qcrd) and spec.method.discriminator.encoder != "student-sized":
        _check_model(spec.method.discriminator.encoder, "method.discriminator.encoder")
    if spec.negatives and spec.negatives.band and spec.negatives.band_encoder != "student-sized":
        _check_model(spec.negatives.band_encoder, "method.negatives.band_encoder")


def _check_model(name: str, key: str) -> None:
    if name == BUILTIN:
        return
    if name.startswith("builtin/"):
        raise UsageError(f"{key} = {name!r}: the one built-in student is {BUILTIN}")
    reach(name, key)
    try:
        kind = AutoConfig.from_pretrained(name).model_type
    except (OSError, ValueError) as error:
        raise _not_loaded(key, name, "model", error) from error
    if kind not in T5_KINDS:
        raise UsageError(f"{key} = {name!r} is a {kind} model; only the T5 kind ({', '.join(T5_KINDS)}) can be used")


def _pretrained(name: str) -> T5ForConditionalGeneration:
    try:
        return T5ForConditionalGeneration.from_pretrained(name, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise _not_loaded("student.model", name, "model", error) from error


def _not_loaded(key: str, name: str, what: str, error: Exception) -> QcrdError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UsageError(
        f"{key} = {name!r}: its {what} could not be loaded ({reason}); give a folder with a T5 model, "
        "or a hub id that this machine can reach"
    )
