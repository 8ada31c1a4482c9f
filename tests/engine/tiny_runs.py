"""A training of a tiny student in a test's own process: what it says is kept in lists."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from engine.methods.table import METHODS
from engine.negatives.sampled import How
from engine.records import Example
from engine.spec.run import RunSpec
from engine.students.t5 import T5Student
from engine.training import train as training
from engine.training.batches import Item
from engine.training.setup import Setup
from engine.training.train import train
from tests.engine.tiny_t5 import item, student


class Said:
    """In the recorder's place."""

    run_id = 1

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.metrics: dict[int, dict[str, float]] = {}
        self.seen: list[tuple[int, Any]] = []

    def log(self, level: str, line: str, stage: str = "", detail: str | None = None) -> None:
        self.lines.append((level, line))

    def points(self, step: int, values: dict[str, float]) -> None:
        self.metrics.setdefault(step, {}).update(values)

    def visits(self, step: int, iteration: int, found: Sequence[Any]) -> None:
        self.seen += [(step, v) for v in found]

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


class NoOrders:
    """In the orders' place."""

    stop = checkpoint = taken_over = False

    def poll(self) -> None:
        return


def numbered(s: T5Student, count: int, positives: int = 2, negatives: int = 1) -> list[Item]:
    """Items with ids and rationale numbers of their own."""
    random = torch.Generator().manual_seed(7)
    found, number = [], 0
    for i in range(count):
        made = item(s, random, positives, negatives)
        sides = []
        for side in (made.positives, made.negatives):
            own = []
            for c in side:
                own.append(replace(c, rationale=replace(c.rationale, number=number, example_id=f"x{i}")))
                number += 1
            sides.append(tuple(own))
        example = Example(f"x{i}", made.example.question, "3")
        found.append(replace(made, example=example, positives=sides[0], negatives=sides[1]))
    return found


def setup(folder: Path, s: T5Student, said: Said, **sections: Any) -> Setup:
    """Eight questions, batches of four."""
    base = {"steps": 6, "iterations": 3, "batch_size": 4, "warmup": 1, "checkpoint_every": 2}
    spec = RunSpec.model_validate(
        {
            "method": {"name": "positives"},
            "evaluation": {"every": 100},
            **sections,
            "training": base | sections.get("training", {}),
        }
    )
    return Setup(
        spec=spec,
        method=METHODS[spec.method.name],
        student=s,
        judge=None,
        judge_optimizer=None,
        items=numbered(s, 8),
        followed={"x0", "x1"},
        validation=None,  # type: ignore[arg-type]
        held_out=[],
        first_number=100,
        band=None,
        sampling=How(kind="number", max_new=8, drop_right=True),
        folder=folder,
        recorder=said,  # type: ignore[arg-type]
        orders=NoOrders(),  # type: ignore[arg-type]
    )


def trained(monkeypatch: Any, made: Setup, resume_at: int | None = None) -> Any:
    """The progress after training; validation always finds the same."""
    monkeypatch.setattr(training, "validate", lambda *_: 0.5)
    return train(made, resume_at)


def weights(s: T5Student) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in s.model.named_parameters()}


def fresh(dropout: float = 0.0) -> T5Student:
    return student(dropout)
