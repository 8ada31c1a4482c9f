"""Splits that are missing are made by a hash of the id: stable when rows are added, equal on every machine."""

import hashlib
from collections.abc import Sequence

from engine.errors import UsageError
from engine.records import Dataset, Example
from engine.spec.run import RunSpec

NAMES = ("train", "validation", "test")
Parts = dict[str, list[Example]]


def place(id: str, seed: int, use: str = "split") -> float:
    """A number in [0, 1) for an id: the same for the same id, seed and use, evenly spread over ids."""
    digest = hashlib.sha256(f"{use}:{seed}:{id}".encode()).digest()
    return int.from_bytes(digest[:7]) / 2**56


def complete(name: str, parts: Parts, seed: int) -> tuple[Parts, list[str]]:
    """All of train, validation and test, none empty, and a note on what was made.

    Neither validation nor test, or no training split: 80/10/10 of everything. One of them missing: a ninth of the
    training split. UsageError where there are too few rows.
    """
    notes: list[str] = []
    if "train" not in parts:
        parts = {"train": [e for part in parts.values() for e in part]}
    missing = [s for s in NAMES if s not in parts]
    if missing:
        pool = parts["train"]
        if len(pool) <= len(missing):
            raise UsageError(
                f"{name}: {len(pool)} {'row' if len(pool) == 1 else 'rows'} to make the splits "
                f"{', '.join(['train', *missing])} of; at least {len(missing) + 1} are needed"
            )
        made = _divide(pool, missing, seed)
        parts = {**parts, **made}
        sizes = ", ".join(f"{len(made[s])} {s}" for s in ("train", *missing))
        notes.append(f"no {' and no '.join(missing)} split: divided by a hash of the id ({sizes})")
    for split in NAMES:
        if not parts[split]:
            raise UsageError(f"{name}: the {split} split has no rows; at least one is needed")
    return {split: parts[split] for split in NAMES}, notes


def share(examples: Sequence[Example], part: float, seed: int) -> list[Example]:
    """That share of the examples by hash, in order; a smaller share is a subset of a larger one. Never empty."""
    kept = [e for e in examples if place(e.id, seed, "share") < part]
    return kept or [min(examples, key=lambda e: place(e.id, seed, "share"))]


def _divide(pool: list[Example], missing: list[str], seed: int) -> Parts:
    bounds = {2: (0.8, 0.9), 1: (8 / 9,)}[len(missing)]
    names = ["train", *missing]
    made: Parts = {s: [] for s in names}
    for example in pool:
        u = place(example.id, seed)
        made[names[sum(u >= b for b in bounds)]].append(example)
    for split in names:  # few rows: none may be empty
        if not made[split]:
            largest = max(made.values(), key=len)
            moved = max(largest, key=lambda e: place(e.id, seed))
            largest.remove(moved)
            made[split].append(moved)
    return made


def asked(spec: RunSpec, dataset: Dataset) -> tuple[Example, ...]:
    """The questions that the teacher is asked: of training, and of validation where its votes or rationales are used.

    With gold labels nothing but QCRD's discriminator and ranking models look at the teacher's answers to validation
    questions.
    """
    if spec.data.labels == "gold" and spec.method.name not in ("qcrd", "ranking"):
        return dataset.splits["train"]
    return (*dataset.splits["train"], *dataset.splits["validation"][: spec.evaluation.validation_limit])
