"""Adaptive self-consistency (arXiv 2312.12832): votes among sampled answers, each weighed by a score of its rationale.

Light: the store, the commands and the console use it.
"""

import math
from collections.abc import Sequence
from typing import Literal, get_args

from engine.errors import UsageError

Weight = Literal["1", "s", "1+s", "1+2s"]
WEIGHTS: tuple[Weight, ...] = get_args(Weight)
"""What a sample of score s in [0, 1] counts; 1 is plain self-consistency."""
NEUTRAL = 0.5
"""The score of all of a question's samples where none has one: any would do, since all then count alike."""


def weight_of(text: str) -> Weight:
    """The weight as typed, blanks left out. Raises UsageError for another."""
    found = next((w for w in WEIGHTS if w == text.replace(" ", "")), None)
    if found is None:
        raise UsageError(f"--weight {text}: one of {' '.join(WEIGHTS)}")
    return found


def filled(scores: Sequence[float | None]) -> list[float]:
    """An over-long sample (None) takes the mean score of its question's others."""
    known = [s for s in scores if s is not None]
    mean = math.fsum(known) / len(known) if known else NEUTRAL
    return [mean if s is None else s for s in scores]


def weighed(scores: Sequence[float | None], weight: Weight) -> list[float]:
    """What each of a question's samples counts."""
    if weight == "1":
        return [1.0] * len(scores)
    base, factor = {"s": (0.0, 1.0), "1+s": (1.0, 1.0), "1+2s": (1.0, 2.0)}[weight]
    return [base + factor * s for s in filled(scores)]


def credit(clusters: Sequence[int | None], right: Sequence[bool], weights: Sequence[float]) -> float:
    """What a question's vote is worth: 1 where the right answer has the most weight, 1/k where k answers tie for it.

    `clusters`: which answer each sample gives, equal answers alike; None: none was found, and it does not vote.
    `right`: whether the cluster of each sample is right. An answer may have no weight at all and still tie.
    """
    totals: dict[int, list[float]] = {}
    verdicts: dict[int, bool] = {}
    for cluster, good, weight in zip(clusters, right, weights, strict=True):
        if cluster is not None:
            totals.setdefault(cluster, []).append(weight)
            verdicts.setdefault(cluster, good)
    if not totals:
        return 0.0
    # fsum rounds once: the same weights in another order are a tie, and not a difference of rounding
    sums = {cluster: math.fsum(given) for cluster, given in totals.items()}
    most = max(sums.values())
    top = [cluster for cluster, total in sums.items() if total == most]
    return sum(verdicts[cluster] for cluster in top) / len(top)


def block_credits(
    clusters: Sequence[int | None],
    right: Sequence[bool],
    scores: Sequence[float | None],
    size: int,
    weight: Weight,
) -> float:
    """The mean credit over the question's disjoint blocks of `size` samples in order, those left over not used.

    Each block is a vote as if no other sample had been drawn: over-long samples take the mean of its own. Raises
    ValueError where there are fewer samples than `size`.
    """
    blocks = len(clusters) // size
    if size < 1 or not blocks:
        raise ValueError(f"{len(clusters)} samples make no block of {size}")
    parts = [slice(at * size, (at + 1) * size) for at in range(blocks)]
    return math.fsum(credit(clusters[p], right[p], weighed(scores[p], weight)) for p in parts) / blocks
