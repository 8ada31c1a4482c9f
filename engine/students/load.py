"""From `student.model` to a student: built in, a local folder, or a hub id, through the same code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerBase,
    T5ForConditionalGeneration,
)
from transformers.utils.logging import disable_progress_bar

from engine.errors import QcrdError, SpecError, UsageError
from engine.randomness import derive
from engine.spec.dust_into_gold import Nat, Nce, Ranking
from engine.spec.methods import OWN_ENCODERS, Qcrd
from engine.spec.run import RunSpec
from engine.spec.sections import BUILTIN_CAUSAL, BUILTIN_T5
from engine.students import adapters, causal, integrate, pretrained, tiny
from engine.students.causal import CausalStudent
from engine.students.hub import reach
from engine.students.seam import Student
from engine.students.t5 import T5Student

T5_KINDS = ("t5", "mt5")
"""umt5 has a position bias in every layer, which T5's classes would drop."""


def tokenizer(spec: RunSpec, texts: Sequence[str]) -> PreTrainedTokenizerBase:
    """The student's tokeniser; a built-in student's is made from `texts`."""
    if spec.student.built_in:
        return tiny.build_tokenizer(texts, alphabetical=spec.student.base_steps > 0)
    config(spec)
    try:
        return AutoTokenizer.from_pretrained(spec.student.model)
    except (OSError, ValueError) as error:
        raise _not_loaded("student.model", spec.student.model, "tokeniser", error) from error


def student(spec: RunSpec, texts: Sequence[str], saved_tokenizer: Path) -> Student:
    """The student before its first step; its tokeniser is kept in `saved_tokenizer` for the run's next process.

    The built-in base is taken from the run's folder, where `pretrained.prepare` has put it there.
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
    model = _model(spec, words, device, saved_tokenizer.parent)
    if spec.student.built_in:
        model.name_or_path = adapters.BASE  # adapters name what they belong to: what their export has beside them
    adapted = _adapted(spec, model, saved_tokenizer.parent)
    precision = spec.student.precision
    common: dict[str, Any] = {
        "device": device,
        "bf16": precision == "bf16" or (precision == "auto" and device.type == "cuda"),
        "max_prompt": spec.student.max_question_tokens,
        "max_target": spec.student.max_rationale_tokens,
        "adapted": adapted,
    }
    if model.config.model_type in T5_KINDS:
        position_bias_lr = tiny.POSITION_BIAS_LR if spec.student.model == BUILTIN_T5 else 1.0
        return T5Student(model, words, position_bias_lr=position_bias_lr, **common)
    return CausalStudent(model, words, chat=_chat(spec, words), **common)


def _adapted(spec: RunSpec, model: Any, folder: Path) -> Any:
    """PEFT's wrapper with the adapters that the spec asks for, those trained that stages before have left in the run's
    folder; None: it asks for none."""
    if not spec.student.lora.r:
        return None
    if not isinstance(spec.method, Nat | Nce):
        return adapters.add(model, spec.student.lora)
    mine = (integrate.STUDENT,) if isinstance(spec.method, Nce) else ()
    adapted = adapters.add(model, spec.student.lora, (integrate.WRONG, integrate.RIGHT, *mine))
    integrate.attach(adapted)
    for stage in integrate.STAGES:
        if (folder / stage).is_dir():
            integrate.load(adapted, folder / stage)
    integrate.learn(adapted, "student" if mine else "nat")
    return adapted


def _model(spec: RunSpec, words: Any, device: torch.device, folder: Path) -> Any:
    if spec.student.model == BUILTIN_T5:
        return tiny.build(words)
    if spec.student.model == BUILTIN_CAUSAL:
        return pretrained.load(folder) or tiny.build_causal(words)
    kind = T5ForConditionalGeneration if config(spec).model_type in T5_KINDS else AutoModelForCausalLM
    try:
        how = adapters.loading(spec.student.lora, device)
        return kind.from_pretrained(spec.student.model, dtype=torch.float32, **how)
    except (OSError, ValueError) as error:
        raise _not_loaded("student.model", spec.student.model, "model", error) from error


def _chat(spec: RunSpec, words: Any) -> bool:
    if spec.student.chat is True and not words.chat_template:
        raise SpecError(
            f'student.chat = true, but the tokeniser of {spec.student.model!r} has no chat template; use "auto"'
        )
    return spec.student.chat is not False and bool(words.chat_template)


def pick_device(wanted: str) -> torch.device:
    """auto: the GPU if there is one."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError('student.device = "cuda", but torch sees no GPU here; use "auto" or "cpu"')
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def check(spec: RunSpec) -> None:
    """UsageError where the student, or the discriminator's encoder, cannot be had: asked before a teacher is paid."""
    adapters.check(spec, pick_device(spec.student.device))
    if not spec.student.built_in:
        config(spec)
    if isinstance(spec.method, Qcrd) and spec.method.discriminator.encoder not in OWN_ENCODERS:
        encoder_config(spec.method.discriminator.encoder)
    if isinstance(spec.method, Ranking) and spec.method.encoder not in OWN_ENCODERS:
        encoder_config(spec.method.encoder, "method.encoder")
    if spec.negatives and spec.negatives.band and spec.negatives.band_encoder not in OWN_ENCODERS:
        encoder_config(spec.negatives.band_encoder, "method.negatives.band_encoder")


def config(spec: RunSpec) -> Any:
    """The configuration of a student that is not built in. UsageError where it is of no kind that can be one."""
    name, key = spec.student.model, "student.model"
    if name.startswith("builtin/"):
        raise SpecError(f"{key} = {name!r}: the built-in students are {BUILTIN_T5} and {BUILTIN_CAUSAL}")
    found = _config(name, key)
    if found.model_type in T5_KINDS:
        return found
    if found.model_type not in causal.KINDS:
        raise SpecError(
            f"{key} = {name!r} is a {found.model_type} model; only the T5 kind ({', '.join(T5_KINDS)}) and the "
            f"causal kinds {', '.join(causal.KINDS)} can be used"
        )
    limit = spec.student.max_question_tokens + spec.student.max_rationale_tokens
    window = found.sliding_window if getattr(found, "use_sliding_window", False) else None
    longest = min(found.max_position_embeddings, window or limit)
    if longest < limit:
        raise SpecError(
            f"{key} = {name!r} reads {longest} tokens at once, student.max_question_tokens + "
            f"student.max_rationale_tokens are {limit}: lower them"
        )
    return found


def encoder_config(name: str, key: str = "method.discriminator.encoder") -> Any:
    """The configuration of an encoder for the discriminator. UsageError where it is no encoder."""
    if name.startswith("builtin/"):
        own = OWN_ENCODERS[:1] if key == "method.encoder" else OWN_ENCODERS
        raise SpecError(f"{key} = {name!r}: there is no built-in encoder; use {' or '.join(own)}")
    found = _config(name, key)
    if found.is_encoder_decoder and found.model_type not in T5_KINDS:
        raise SpecError(
            f"{key} = {name!r} is a {found.model_type} model; use a T5, or a model that is an encoder alone"
        )
    return found


def _config(name: str, key: str) -> Any:
    reach(name, key)
    try:
        return AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise _not_loaded(key, name, "model", error) from error


def _not_loaded(key: str, name: str, what: str, error: Exception) -> QcrdError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UsageError(
        f"{key} = {name!r}: its {what} could not be loaded ({reason}); give a folder with a model, "
        "or a hub id that this machine can reach"
    )
