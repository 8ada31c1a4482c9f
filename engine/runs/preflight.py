"""`qcrd run --dry-run`: everything that can be checked before a request is paid for or a step is computed.

Heavy libraries load inside the functions; nothing is written but the checks of what could be.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from engine.data.splits import asked as asked_questions
from engine.errors import QcrdError, UsageError
from engine.records import Dataset, Example
from engine.spec.dust_into_gold import Ranking
from engine.spec.methods import OWN_ENCODERS, Qcrd
from engine.spec.run import RunSpec
from engine.spec.sections import BUILTIN_CAUSAL, BUILTIN_T5
from engine.spec.teachers import TeacherConfig

if TYPE_CHECKING:
    from engine.teacher.estimate import Estimate

T = TypeVar("T")

BYTES_OF_4BIT = 0.55
"""A parameter in NF4, with its quantised constants."""
BYTES_PER_PARAMETER = 16
"""fp32: weight, gradient and AdamW's two moments."""
IMPORTED_BYTES = 490e6
"""Python with torch, transformers and litellm in a process on the CPU: VmRSS of /proc/self/status after importing
engine.runs.pipeline (370 MB) and litellm (488 MB), torch 2.13 without CUDA."""
ACTIVATION_BYTES = 68
"""Kept for the backward pass per token, layer and unit of width; arXiv 2205.05198 has 34 for fp16."""


@dataclass(slots=True)
class Report:
    """What was found: (label, text) lines in order, and the problems, each one line."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    estimates: "list[Estimate]" = field(default_factory=list)
    """Of what its teachers will take, then its judge of steps; empty where nothing is asked."""


def check(spec: RunSpec, database: Path) -> Report:
    """Check a run. A problem in one part does not keep the others from being checked."""
    report = Report()
    report.lines.append(("run", f"{spec.name}: {spec.method.name}, seed {spec.seed}"))
    _attempt(report, lambda: _database(report, database))
    dataset = _attempt(report, lambda: _dataset(report, spec))
    if spec.needs_teacher:
        _attempt(report, lambda: _teacher(report, spec, dataset, database))
        _attempt(report, lambda: _step_judge(report, spec, dataset))
        _money(report, spec)
    if spec.until == "vote":
        return report
    if spec.negatives and spec.negatives.peers:
        _attempt(report, lambda: _peers(report, spec, database))
    if isinstance(spec.method, Ranking):
        method = spec.method
        _attempt(report, lambda: _ranking(report, spec, method))
    elif dataset is not None:
        _attempt(report, lambda: _student(report, spec, dataset))
        _steps(report, spec, dataset)
    return report


def _peers(report: Report, spec: RunSpec, database: Path) -> None:
    from engine.negatives.peer import folders

    if spec.negatives:
        report.lines += [("peer", str(folder)) for folder in folders(spec.negatives, database)]


def _attempt(report: Report, part: Callable[[], T]) -> T | None:
    try:
        return part()
    except QcrdError as error:
        report.problems.append(str(error))
    except OSError as error:
        report.problems.append(f"{error.filename or 'a file'}: {error.strerror or error}")
    return None


def _database(report: Report, database: Path) -> None:
    from engine.store.connect import open_reader
    from engine.store.filesystem import refuse_network_filesystem

    folder = database.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder} for the database: make it, or name another with --db")
    refuse_network_filesystem(database)
    if not os.access(folder, os.W_OK) or (database.exists() and not os.access(database, os.W_OK)):
        raise QcrdError(f"cannot write to {database}: make the file and its folder writable, or name another with --db")
    if database.exists() and database.stat().st_size:
        open_reader(database).close()
    free = os.statvfs(folder)
    report.lines.append(("database", f"{database} (local disk, {_bytes(free.f_bavail * free.f_frsize)} free)"))


def _dataset(report: Report, spec: RunSpec) -> Dataset:
    from engine.data.load import load

    dataset = load(spec)
    sizes = ", ".join(f"{len(examples)} {split}" for split, examples in dataset.splits.items())
    report.lines.append(("data", f"{dataset.name}: {sizes}"))
    report.lines += [("", note) for note in dataset.notes]
    return dataset


def _teacher(report: Report, spec: RunSpec, dataset: Dataset | None, database: Path) -> None:
    from engine.teacher import client
    from engine.teacher.estimate import estimate, lines
    from engine.teacher.messages import load_prompt
    from engine.teacher.replay import read_recorded, replay

    teacher = spec.teacher
    asked = asked_questions(spec, dataset) if dataset else ()
    if teacher.model.startswith("replay:"):
        recorded = read_recorded(teacher.model)
        text = f"{recorded.path}: {len(recorded.by_question)} questions with recorded outputs, nothing to pay for"
        if dataset is not None:
            replayed = replay(recorded, asked, teacher.samples)
            text += f"; none for {replayed.missing}, fewer than {teacher.samples} for {replayed.short} of {len(asked)}"
        report.lines.append(("teacher", text))
        return
    shares = [1 - sum(other.share for other in teacher.others), *(other.share for other in teacher.others)]
    for one, share in zip(teacher.everyone, shares, strict=True):
        load_prompt(one, spec.data.answer)
        client.check(one)
        key = (
            "no key needed"
            if one.model.startswith(client.IN_PROCESS)
            else _key(client.key_variable(one), one.api_key_keyring)
        )
        where = f" at {one.api_base}" if one.api_base else ""
        part = f", {share:.0%} of the samples" if teacher.others else ""
        report.lines.append(("teacher", f"{one.model}{where}, {key}{part}"))
    if dataset is not None:
        report.lines.append(("questions", f"{len(asked)} for the teacher, {teacher.samples} samples each"))
        report.estimates = estimate([(spec, asked)], database)
        for found in report.estimates:
            where = f" at {found.api_base}" if found.api_base else ""
            report.lines += [("for", found.model + where)] if teacher.others else []
            report.lines += lines(found)


def all_together(specs: Sequence[RunSpec], database: Path) -> Report:
    """What several runs will take of their teachers and judges, what they share counted once.

    Raises as `data.load` and `estimate` do.
    """
    from engine.data.load import load
    from engine.teacher import judge_estimate
    from engine.teacher.estimate import estimate, lines
    from engine.teacher.totals import total
    from engine.teacher.verdicts import step_judge_of

    report = Report()
    datasets: dict[str, Dataset] = {}
    asked = []
    judged: dict[tuple[TeacherConfig, TeacherConfig], dict[tuple[str, ...], Example]] = {}
    for spec in specs:
        if not spec.needs_teacher:
            continue
        key = f"{spec.data.model_dump_json()} {spec.data_seed}"
        if key not in datasets:
            datasets[key] = load(spec)
        questions = asked_questions(spec, datasets[key])
        if not spec.teacher.model.startswith("replay:"):
            asked.append((spec, questions))
        if (judge := step_judge_of(spec)) is not None:
            judged.setdefault((judge, spec.teacher), {}).update({(x.question, *x.choices): x for x in questions})
    for found in estimate(asked, database):
        where = f" at {found.api_base}" if found.api_base else ""
        report.lines += [("teacher", found.model + where), *lines(found)]
        report.estimates.append(found)
    for (judge, teacher), examples in judged.items():
        found = judge_estimate.estimate_judge(judge, teacher, tuple(examples.values()))
        report.lines += [("judge", judge.model), *judge_estimate.lines(found)]
        report.estimates.append(found)
    if (text := total(report.estimates)) is not None:
        report.lines.append(("total", text))
    return report


def _step_judge(report: Report, spec: RunSpec, dataset: Dataset | None) -> None:
    from engine.teacher import client
    from engine.teacher.judge_estimate import estimate_judge, lines
    from engine.teacher.verdicts import step_judge_of

    judge = step_judge_of(spec)
    if judge is None:
        return
    key = _key(client.key_variable(judge), judge.api_key_keyring)
    report.lines.append(("judge", f"{judge.model}, {key}"))
    if dataset is not None:
        found = estimate_judge(judge, spec.teacher, asked_questions(spec, dataset))
        report.estimates = [*report.estimates, found]
        report.lines += lines(found)


def _money(report: Report, spec: RunSpec) -> None:
    from engine.teacher.totals import beyond, total

    if (text := total(report.estimates)) is not None:
        report.lines.append(("total", text))
    report.lines += [("warning", line) for line in beyond(spec.teacher, report.estimates)]


def _key(variable: str, entry: str | None) -> str:
    """Where the key comes from; never the key. Servers at an api_base often want none."""
    if entry:
        return f"key from the keyring's entry {entry}"
    return f"key from {variable}" if os.environ.get(variable) else f"no key ({variable} is not set)"


def _student(report: Report, spec: RunSpec, dataset: Dataset) -> None:
    from engine.students import adapters
    from engine.students.load import encoder_config, pick_device, tokenizer
    from engine.training.batches import explain_prompt

    train = dataset.splits["train"]
    texts = [explain_prompt(example.question) for example in train]
    words: Any = tokenizer(spec, texts)
    lengths = sorted(len(ids) for ids in words(texts, add_special_tokens=True)["input_ids"])
    limit = spec.student.max_question_tokens
    over = sum(length > limit for length in lengths)
    what = "cut" if spec.student.too_long == "cut" else "left out"
    report.lines.append(
        ("questions", f"median {lengths[len(lengths) // 2]}, longest {lengths[-1]} of the student's tokens")
    )
    report.lines.append(("", f"{over} of {len(lengths)} longer than student.max_question_tokens = {limit}: {what}"))
    if over == len(lengths) and what == "left out":
        report.problems.append(f"every question is longer than student.max_question_tokens = {limit}: raise it")
    device = pick_device(spec.student.device)
    _processes(report, spec, device)
    adapters.check(spec, device)
    config = _config(spec, words)
    sizes = _sizes(config, spec.student.lora.r)
    judge = 0
    if isinstance(spec.method, Qcrd) and spec.method.judged:
        judge = sizes.encoder
        if spec.method.discriminator.encoder not in OWN_ENCODERS:
            judge = _sizes(encoder_config(spec.method.discriminator.encoder), 0).encoder
    what = f", {sizes.adapters:,} more in adapters: they alone are trained" if sizes.adapters else ""
    report.lines.append(("student", f"{spec.student.model}: {sizes.parameters:,} parameters on {device}{what}"))
    if spec.student.base_steps:
        report.lines.append(("", _base(spec.student.base_steps)))
    frozen = 0.0
    trained = sizes.parameters + judge
    if sizes.adapters:
        trained = sizes.adapters + judge
        frozen = sizes.parameters * (BYTES_OF_4BIT if spec.student.lora.quantise == "4bit" else 4)
    fixed = trained * BYTES_PER_PARAMETER + frozen
    moving = _activations(spec, config, min(lengths[-1], limit))
    imported, said = 0.0, ""
    if device.type == "cpu":  # whose memory all processes share, with what they load
        fixed *= spec.compute.processes
        imported = IMPORTED_BYTES * spec.compute.processes
        said = f", {_bytes(imported)} for Python and its libraries"
    total = fixed + moving + imported
    report.lines.append(("memory", f"about {_bytes(total)} (an estimate: {_bytes(fixed)} for weights and AdamW{said})"))
    have = _memory(device.type)
    if have is not None and fixed + imported > have:
        report.problems.append(
            f"student.model: weights and optimiser alone want about {_bytes(fixed)}, {device} has {_bytes(have)}: "
            "take a smaller student"
        )


def _ranking(report: Report, spec: RunSpec, method: Ranking) -> None:
    from engine.students.load import check as there

    there(spec)
    of = f" (of {spec.student.model})" if method.encoder in OWN_ENCODERS else ""
    report.lines.append(("encoder", f"{method.encoder}{of}"))
    report.lines.append(
        ("training", f"{method.epochs} epochs over pairs of right and wrong rationales; no student is trained")
    )


def _base(steps: int) -> str:
    from engine.students.pretrained import SECONDS, cache

    return (
        f"pre-trained first: {steps:,} steps on generated text, {steps * SECONDS:.0f} to {2 * steps * SECONDS:.0f} s; "
        f"once for runs of the same words, then from {cache()}"
    )


def _processes(report: Report, spec: RunSpec, device: Any) -> None:
    from engine.parallel.processes import check as enough_gpus

    count = spec.compute.processes
    if count > 1:
        enough_gpus(spec)
        share = "a GPU each" if device.type == "cuda" else "the CPU's threads shared out; each holds the whole student"
        report.lines.append(("processes", f"{count}, {share}"))


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


def _memory(device: str) -> int | None:
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[1])
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _steps(report: Report, spec: RunSpec, dataset: Dataset) -> None:
    training = spec.training
    epochs = training.steps * training.batch_size / len(dataset.splits["train"])
    iterations = max(1, round(epochs)) if training.iterations == "epoch" else training.iterations
    report.lines.append(
        (
            "training",
            f"{training.steps} steps × {training.batch_size} questions = {epochs:.3g} epochs at most; "
            f"{iterations} iterations of {training.steps / iterations:.3g} steps",
        )
    )


def _bytes(count: float) -> str:
    units: Sequence[str] = ("B", "KB", "MB", "GB", "TB")
    for unit in units[:-1]:
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} {units[-1]}"


def main() -> int:
    """`python -m engine.runs.preflight DATABASE SPEC.toml`: the report as one line of JSON, for the console."""
    import json
    import sys

    from engine.spec.load import load_spec

    database, file = sys.argv[1:]
    try:
        found = check(load_spec(file), Path(database))
    except QcrdError as error:
        found = Report(problems=[str(error)])
    print(json.dumps({"lines": found.lines, "problems": found.problems}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
