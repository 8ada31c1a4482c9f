"""pass@k and maj@k: what several sampled answers to each question are worth. Light: the store and the tables use it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.evaluation.intervals import t_interval, wilson


@dataclass(frozen=True, slots=True)
class Sampled:
    """What of several sampled answers to one question is right."""

    samples: int
    right: int
    majority: bool
    """Whether the commonest answer is right, the earliest among equals."""


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of values in [0, 1], one a question, with its 95 % interval."""

    sum: float
    questions: int
    interval: tuple[float, float]


def pass_at_k(samples: int, right: int, k: int) -> float:
    """The chance that one at least of k answers drawn from `samples` is right: 1 - C(n - c, k) / C(n, k).

    The unbiased estimate of Chen et al. 2021 (arXiv 2107.03374, equation 1). Raises ValueError unless
    0 <= right <= samples and 1 <= k <= samples.
    """
    if not (0 <= right <= samples and 1 <= k <= samples):
        raise ValueError(f"pass@{k} of {right} right among {samples} is not defined")
    return 1 - math.comb(samples - right, k) / math.comb(samples, k)


def ks(samples: int) -> list[int]:
    """The k of which pass@k is told: 1, 2, 4 ... and the number of samples itself."""
    return sorted({*(2**i for i in range(samples.bit_length()) if 2**i <= samples), samples})


def mean(values: Sequence[float]) -> Mean:
    """Their mean over questions: Wilson's interval where each is 0 or 1, else Student's t, within [0, 1].

    Wilson's too where all are alike: t would call their mean certain, however few they are.
    """
    total, count = math.fsum(values), len(values)
    found = None if len(set(values)) < 2 or all(v in (0.0, 1.0) for v in values) else t_interval(values)
    if found is None:
        return Mean(total, count, wilson(round(total), count) if count else (0.0, 1.0))
    return Mean(total, count, (max(0.0, found[0]), min(1.0, found[1])))


def scores(sampled: Sequence[Sampled]) -> dict[str, Mean]:
    """ "pass@1", "pass@2" ... "pass@n" and "maj@n" over questions that were each asked n times; empty without any."""
    if not sampled:
        return {}
    n = sampled[0].samples
    found = {f"pass@{k}": mean([pass_at_k(s.samples, s.right, k) for s in sampled]) for k in ks(n)}
    return found | {f"maj@{n}": mean([float(s.majority) for s in sampled])}
