"""The table's numbers, against numbers of hand and against their definitions."""

import math
from typing import Any

import pytest

from engine.errors import UsageError
from engine.evaluation.comparison import OVER_QUESTIONS, OVER_SEEDS, compare
from engine.evaluation.intervals import newcombe_paired
from engine.store.runs.results import Cost, Result, Score


def result(run_id: int, method: str, seed: int, explain: float | None, **change: Any) -> Result:
    spec = {"name": f"n{run_id}", "seed": seed, "method": {"name": method, **change.pop("settings", {})}}
    spec |= {"training": {"lr": change.pop("lr", 0.1)}}
    scores = {} if explain is None else {("explain", ""): Score(explain, explain - 0.1, explain + 0.05)}
    values: dict[str, Any] = {"scores": scores, "seconds": 10.0 * run_id, "cost": Cost(), "status": "done"} | change
    return Result(run_id=run_id, method=method, seed=seed, spec=spec, **values)


def no_pairs(first: int, second: int, head: str) -> None:
    raise AssertionError("with several seeds nothing is paired by question")


def test_means_and_differences_are_over_seeds() -> None:
    runs = [result(1, "dss", 0, 0.5), result(2, "qcrd", 0, 0.6), result(3, "dss", 1, 0.7), result(4, "qcrd", 1, 0.7)]
    runs += [result(5, "dss", 2, 0.6), result(6, "qcrd", 2, 0.8)]
    dss, qcrd = compare(runs, no_pairs)
    assert (dss.method, dss.seeds, dss.runs, dss.difference) == ("dss", (0, 1, 2), 3, {})
    mean = dss.accuracy["explain"]
    half = 4.30265 * 0.1 / math.sqrt(3)  # t of two degrees of freedom; the standard deviation is 0.1
    assert (mean.value, mean.low, mean.high) == pytest.approx((0.6, 0.6 - half, 0.6 + half), abs=1e-5)
    assert (mean.seeds, mean.interval) == (3, OVER_SEEDS)
    change = qcrd.difference["explain"]
    half = 4.30265 * 0.1 / math.sqrt(3)  # of 0.1, 0.0, 0.2
    assert (change.value, change.low, change.high) == pytest.approx((0.1, 0.1 - half, 0.1 + half), abs=1e-5)
    assert qcrd.seconds == 40.0
    assert list(dss.accuracy) == ["explain"]


def test_only_seeds_that_both_have_are_paired_and_unfinished_runs_count_as_missing() -> None:
    runs = [result(1, "dss", 0, 0.5), result(2, "qcrd", 0, None), result(3, "dss", 1, 0.7), result(4, "qcrd", 1, 0.9)]
    runs += [result(5, "dss", 2, 0.7), result(6, "qcrd", 2, 0.8), result(7, "qcrd", 3, 0.1)]
    _, qcrd = compare(runs, no_pairs)
    assert (qcrd.seeds, qcrd.runs) == ((1, 2, 3), 4)
    assert qcrd.difference["explain"].value == pytest.approx((0.2 + 0.1) / 2)
    assert qcrd.difference["explain"].seeds == 2


def test_one_seed_is_compared_question_by_question() -> None:
    runs = [result(1, "dss", 0, 0.44), result(2, "qcrd", 0, 0.64)]
    _, qcrd = compare(runs, lambda first, second, head: (20, 12, 2, 16) if (first, second) == (2, 1) else None)
    assert qcrd.accuracy["explain"].interval == OVER_QUESTIONS
    assert (qcrd.accuracy["explain"].low, qcrd.accuracy["explain"].high) == pytest.approx((0.54, 0.69))
    change = qcrd.difference["explain"]
    assert (change.low, change.high) == newcombe_paired(20, 12, 2, 16)
    assert (change.value, change.seeds, change.interval) == (pytest.approx(0.2), 1, OVER_QUESTIONS)
    dss, _ = compare(runs, lambda *_: None, reference="qcrd")
    assert dss.difference["explain"].value == pytest.approx(-0.2)
    assert (dss.difference["explain"].low, dss.difference["explain"].interval) == (None, "")


def test_rows_are_told_apart_by_what_they_do_not_share() -> None:
    runs = [
        result(1, "dss", 0, 0.5, settings={"samples": "first"}),
        result(2, "dss", 0, 0.6, settings={"samples": "majority"}),
    ]
    runs += [result(3, "qcrd", 0, 0.7), result(4, "qcrd", 0, 0.8), result(5, "positives", 0, 0.1, lr=0.2)]
    rows = compare(runs, lambda *_: None)
    assert [(r.method, r.settings) for r in rows] == [
        ("dss", "samples=first, training.lr=0.1"),
        ("dss", "samples=majority, training.lr=0.1"),
        ("qcrd", "training.lr=0.1"),
        ("positives", "training.lr=0.2"),
    ]
    assert rows[2].accuracy["explain"].value == 0.8, "of two equal runs the later one"
    assert rows[2].runs == 1
    with pytest.raises(UsageError, match="there are dss qcrd positives"):
        compare(runs, lambda *_: None, reference="orpo")


def test_sampled_scores_and_costs_are_put_together() -> None:
    def scores(explain: float, passed: float) -> dict[tuple[str, str], Score]:
        return {("explain", ""): Score(explain, 0, 1), ("explain", "pass@8"): Score(passed, 0, 1)}

    runs = [
        result(1, "dss", 0, 0.5, scores=scores(0.5, 0.9), cost=Cost(calls=7, bought=5, input_tokens=40)),
        result(
            2, "dss", 1, 0.5, scores=scores(0.5, 0.7), cost=Cost(calls=1, bought=0, reused=5, reused_input_tokens=4)
        ),
    ]
    (row,) = compare(runs, no_pairs)
    assert row.sampled["explain", "pass@8"].value == pytest.approx(0.8)
    assert row.cost == Cost(calls=8, bought=5, reused=5, input_tokens=40, reused_input_tokens=4)
    assert row.cost.output_tokens is None, "unknown, not nothing"


def test_an_interval_of_shares_stays_within_0_and_1() -> None:
    (row,) = compare([result(1, "dss", 0, 0.9), result(2, "dss", 1, 1.0)], no_pairs)
    assert (row.accuracy["explain"].low, row.accuracy["explain"].high) == (
        pytest.approx(0.95 - 12.7062 * 0.05, abs=1e-4),
        1,
    )
