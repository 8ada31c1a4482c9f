"""A student that cannot learn a few real questions by heart has a fault: in data, targets, loss or decoding."""

from pathlib import Path
from typing import Any

import pytest

from engine.answers.kinds import equal, parse
from engine.spec.sections import AnswerKind
from tests.e2e.real_runs import done, read_jsonl, write_splits


def short_ones(file: Path, kind: AnswerKind, longest: int, count: int) -> list[dict[str, str]]:
    """The first questions whose every text has at most `longest` characters and whose gold is among the answers."""
    found = []
    for row in read_jsonl(file):
        parsed = [parse(kind, text) for text in row["samples"]]
        short = max(len(text) for text in (row["question"], *(p.rationale for p in parsed))) <= longest
        if short and any(p.answer is not None and equal(kind, row["answer"], p.answer) for p in parsed):
            found.append({"question": row["question"], "answer": row["answer"]})
        if len(found) == count:
            break
    return found


def overfit(
    database: Path, file: Path, kind: AnswerKind, longest: int, *layers: dict[str, Any], count: int = 32
) -> None:
    """Train on `count` questions and test on the same: a folder whose splits differ in the ids alone."""
    mine = short_ones(file, kind, longest, count)
    assert len(mine) == count
    splits = {s: [{"id": f"{s}-{i}", **row} for i, row in enumerate(mine)] for s in ("train", "validation", "test")}
    folder = write_splits(database.parent / "same", splits)
    run = done(
        database,
        {"data": {"dataset": str(folder), "answer": kind, "labels": "gold"}, "teacher": {"model": f"replay:{file}"}},
        {"student": {"max_question_tokens": 192, "max_rationale_tokens": 192}},
        {"training": {"batch_size": count, "lr": 6e-3, "warmup": 20, "checkpoint_every": 1000}},
        {"evaluation": {"every": 1000, "followed": 0}},
        *layers,
    )
    assert run.facts["train/examples"] == count
    assert run.facts["train/rationales cut"] == run.facts["train/questions cut"] == 0
    for head in ("predict", "explain"):
        right, compared = run.scores["test", "student", head]
        assert compared == count
        assert right >= 0.9 * count, (head, right)
        assert run.scores["test", "untrained", head][0] <= 0.1 * count


@pytest.mark.parametrize(
    ("count", "longest", "steps", "tokens"),
    [(10, 110, 110, 80), pytest.param(32, 140, 150, 192, marks=pytest.mark.slow)],
)
def test_svamp_by_dss(database: Path, shared_data: Path, count: int, longest: int, steps: int, tokens: int) -> None:
    layers = {"teacher": {"samples": 1}, "method": {"name": "dss"}, "training": {"steps": steps}}
    layers["student"] = {"max_question_tokens": tokens, "max_rationale_tokens": tokens}
    overfit(database, shared_data / "svamp_train.jsonl", "equation", longest, layers, count=count)


QCRD: dict[str, Any] = {
    "teacher": {"samples": 8},
    "method": {"name": "qcrd", "negatives": {"lag": 3}, "discriminator": {"pretrain_steps": 20, "every": 10}},
}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("name", "longest", "steps"),
    [("math_prealgebra_gpt35x8.jsonl.gz", 200, 150), ("math_number_theory_gpt35x8.jsonl.gz", 300, 240)],
)
def test_math_by_qcrd(database: Path, shared_data: Path, name: str, longest: int, steps: int) -> None:
    training = {"training": {"steps": steps, "iterations": 15}}
    overfit(database, shared_data / name, "latex", longest, QCRD, training)
