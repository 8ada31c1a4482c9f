"""Accuracy against the number of sampled answers, by plain count and with weighted votes. Light."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.evaluation.intervals import newcombe_paired, t_interval
from engine.evaluation.sampled import Mean, ks, mean
from engine.evaluation.weighted_vote import Weight, block_credits
from engine.store.runs.evaluations import Ballot


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Point:
    """What a vote among `samples` answers is worth."""

    samples: int
    questions: int
    count: Estimate
    """Of plain self-consistency: each sample counts 1."""
    weighted: Estimate
    difference: Estimate
    """weighted - count, paired by question."""


def curve(ballots: Sequence[Ballot], samples: int, weight: Weight) -> list[Point]:
    """A point for 1, 2, 4 … and `samples` answers; none without questions.

    A question's credit at n is the mean over its disjoint blocks of n samples: the accuracy to be expected of n, with
    all that was drawn.
    """
    return [_point(ballots, n, weight) for n in ks(samples)] if ballots else []


def _point(ballots: Sequence[Ballot], n: int, weight: Weight) -> Point:
    plain, weighted = ([block_credits(b.clusters, b.right, b.scores, n, by) for b in ballots] for by in ("1", weight))
    # one answer wins whatever it weighs: no other questions would differ either
    apart = difference(plain, weighted) if n > 1 else Estimate(0.0, 0.0, 0.0)
    return Point(n, len(ballots), _estimate(mean(plain)), _estimate(mean(weighted)), apart)


def _estimate(found: Mean) -> Estimate:
    return Estimate(found.sum / found.questions, *found.interval)


def difference(before: Sequence[float], after: Sequence[float]) -> Estimate:
    """Mean of after - before over questions, values in [0, 1]: Newcombe's paired interval where all are 0 or 1, else
    Student's t. Newcombe's too, of the rounded sums, where no question differs: t would be certain of it."""
    apart = [b - a for a, b in zip(before, after, strict=True)]
    value, count = math.fsum(apart) / len(apart), len(apart)
    if all(x in (0.0, 1.0) for x in (*before, *after)):
        both = sum(a == b == 1.0 for a, b in zip(before, after, strict=True))
        gained, lost = sum(x > 0 for x in apart), sum(x < 0 for x in apart)
        return Estimate(value, *newcombe_paired(both, gained, lost, count - both - gained - lost))
    if not any(apart):
        both = round(math.fsum(before))
        return Estimate(0.0, *newcombe_paired(both, 0, 0, count - both))
    low, high = t_interval(apart) or (-1.0, 1.0)
    return Estimate(value, max(-1.0, low), min(1.0, high))
