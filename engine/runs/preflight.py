"""`qcrd run --dry-run`: everything that can be checked before a request is paid for or a step is computed.

Heavy libraries load inside the functions; nothing is written but the checks of what could be.
"""

import os
from pathlib import Path
from typing import Any

from engine.errors import QcrdError, UsageError
from engine.records import Dataset
from engine.runs import costs
from engine.runs.footprint import footprint, memory
from engine.runs.report import Report, in_bytes
from engine.spec.dust_into_gold import Ranking
from engine.spec.methods import OWN_ENCODERS
from engine.spec.run import RunSpec


def check(spec: RunSpec, database: Path) -> Report:
    """Check a run. A problem in one part does not keep the others from being checked."""
    report = Report()
    report.lines.append(("run", f"{spec.name}: {spec.method.name}, seed {spec.seed}"))
    report.attempt(lambda: _database(report, database))
    dataset = report.attempt(lambda: _dataset(report, spec))
    if spec.needs_teacher:
        report.attempt(lambda: costs.teachers(report, spec, dataset, database))
        report.attempt(lambda: costs.step_judge(report, spec, dataset))
        costs.money(report, spec)
    if spec.until == "vote":
        return report
    if spec.negatives and spec.negatives.peers:
        report.attempt(lambda: _peers(report, spec, database))
    if isinstance(spec.method, Ranking):
        method = spec.method
        report.attempt(lambda: _ranking(report, spec, method))
    elif dataset is not None:
        report.attempt(lambda: _student(report, spec, dataset))
        _steps(report, spec, dataset)
    return report


def _peers(report: Report, spec: RunSpec, database: Path) -> None:
    from engine.negatives.peer import folders

    if spec.negatives:
        report.lines += [("peer", str(folder)) for folder in folders(spec.negatives, database)]


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
    report.lines.append(("database", f"{database} (local disk, {in_bytes(free.f_bavail * free.f_frsize)} free)"))


def _dataset(report: Report, spec: RunSpec) -> Dataset:
    from engine.data.load import load

    dataset = load(spec)
    sizes = ", ".join(f"{len(examples)} {split}" for split, examples in dataset.splits.items())
    report.lines.append(("data", f"{dataset.name}: {sizes}"))
    report.lines += [("", note) for note in dataset.notes]
    return dataset


def _student(report: Report, spec: RunSpec, dataset: Dataset) -> None:
    from engine.students import adapters
    from engine.students.load import pick_device, tokenizer
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
    wanted = footprint(spec, words, device.type, min(lengths[-1], limit))
    what = f", {wanted.adapters:,} more in adapters: they alone are trained" if wanted.adapters else ""
    report.lines.append(("student", f"{spec.student.model}: {wanted.parameters:,} parameters on {device}{what}"))
    if spec.student.base_steps:
        report.lines.append(("", _base(spec.student.base_steps)))
    total, fixed = in_bytes(wanted.fixed + wanted.moving + wanted.imported), in_bytes(wanted.fixed)
    said = f", {in_bytes(wanted.imported)} for Python and its libraries" if wanted.imported else ""
    report.lines.append(("memory", f"about {total} (an estimate: {fixed} for weights and AdamW{said})"))
    have = memory(device.type)
    if have is not None and wanted.fixed + wanted.imported > have:
        report.problems.append(
            f"student.model: weights and optimiser alone want about {fixed}, {device} has {in_bytes(have)}: "
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
