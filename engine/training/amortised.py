"""The amortised choice: an iteration's candidates are scored in bulk, from the weights at its start, and only those
whose score is not there or too old.

A step then scores the chosen alone, with gradient. What it chooses by is up to `compute.choice_age` iterations old.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch

from engine.parallel.ranks import ALONE, Ranks
from engine.records import Scored
from engine.students.seam import Student
from engine.training.memory import AtOnce
from engine.training.step import Row, score_once

AT_ONCE_CPU, AT_ONCE = 2**12, 2**14
"""Tokens of candidates, pads included, that are scored at once on a CPU, where more gain nothing, and elsewhere."""


Known = Mapping[int, Scored]
"""By the rationale's number."""


def renewed(
    student: Student,
    rows: Sequence[Row],
    known: Known,
    iteration: int,
    age: int,
    ranks: Ranks = ALONE,
    at_once: AtOnce | None = None,
) -> dict[int, Scored]:
    """What is known of candidates and younger than `age` iterations, and what the rows' other candidates have now."""
    kept = {number: scored for number, scored in known.items() if iteration - scored.iteration < age}
    found = score(student, [_without(row, kept) for row in rows if _has_choice(row)], ranks, at_once)
    return kept | {number: Scored(iteration, ce) for number, ce in found.items()}


def score(
    student: Student, rows: Sequence[Row], ranks: Ranks = ALONE, at_once: AtOnce | None = None
) -> dict[int, float]:
    """Cross-entropy by the rationale's number, of every candidate of the rows."""
    at_once = at_once or AtOnce()
    open_rows = sorted(filter(_numbers, rows), key=_longest)
    was_training = student.model.training
    student.model.eval()

    most = AT_ONCE_CPU if student.device.type == "cpu" else AT_ONCE

    def some(rows: Sequence[Row]) -> list[list[float]]:
        with torch.no_grad():
            return at_once.each("scoring candidates", _groups(rows, most), partial(_score, student))

    scored = ranks.spread(open_rows, some)
    student.model.train(was_training)
    found = zip(open_rows, scored, strict=True)
    return {number: ce for row, values in found for number, ce in zip(_numbers(row), values, strict=True)}


def with_earlier(rows: Sequence[Row], known: Known) -> list[Row]:
    """The rows with what was found for their candidates; a single positive is chosen whatever its cross-entropy."""

    def of(row: Row) -> tuple[list[float], list[float]]:
        if not _has_choice(row):
            return [0.0] * len(row.item.positives), []
        sides = (row.item.positives, row.negatives)
        up, down = ([known[c.rationale.number].cross_entropy for c in side] for side in sides)
        return up, down

    return [replace(row, earlier=of(row)) for row in rows]


def _without(row: Row, known: Known) -> Row:
    """The row with those candidates alone that nothing is known of."""
    up, down = (
        tuple(c for c in side if c.rationale.number not in known) for side in (row.item.positives, row.negatives)
    )
    return replace(row, item=replace(row.item, positives=up), negatives=down)


def _numbers(row: Row) -> list[int]:
    return [c.rationale.number for c in (*row.item.positives, *row.negatives)]


def _has_choice(row: Row) -> bool:
    return len(row.item.positives) > 1 or bool(row.negatives)


def _score(student: Student, rows: Sequence[Row]) -> list[list[float]]:
    """Of each row the cross-entropies of its positives, then of its negatives."""
    candidates = [[*row.item.positives, *row.negatives] for row in rows]
    owners = [at for at, some in enumerate(candidates) for _ in some]
    encoded = student.encode([row.item.explain for row in rows])
    values = iter(score_once(student, encoded, owners, [c for some in candidates for c in some]).tolist())
    return [[next(values) for _ in some] for some in candidates]


def _groups(rows: Sequence[Row], most: int) -> Iterator[list[Row]]:
    """Rows of similar length, as many as `most` tokens of candidates allow."""
    group: list[Row] = []
    count = 0
    for row in rows:
        more = len(row.item.positives) + len(row.negatives)
        if group and (count + more) * _longest(row) > most:
            yield group
            group, count = [], 0
        group.append(row)
        count += more
    if group:
        yield group


def _longest(row: Row) -> int:
    return max(len(c.tokens) for c in (*row.item.positives, *row.negatives))
