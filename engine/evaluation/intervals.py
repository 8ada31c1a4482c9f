"""95 % intervals and the area under the ROC curve, with the standard library alone."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

Z95 = 1.959963984540054
"""The normal distribution's 97.5 % quantile."""


def wilson(right: int, total: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion (Wilson 1927, JASA 22:209), within [0, 1]; (0, 1) where total is 0."""
    if not 0 <= right <= total:
        raise ValueError(f"{right} right of {total} is not a proportion")
    if total == 0:
        return 0.0, 1.0
    share, z2 = right / total, Z95 * Z95
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z95 / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    # at the ends the exact bounds are 0 and 1; rounding must not miss them
    return (0.0 if right == 0 else centre - half), (1.0 if right == total else centre + half)


def newcombe_paired(both: int, first: int, second: int, neither: int) -> tuple[float, float]:
    """The 95 % interval of p1 - p2, two proportions of the same questions; (-1, 1) without any.

    Newcombe 1998 (Statistics in Medicine 17:2635), method 10: the Wilson intervals of both, squared and added with
    their correlation. `both`: questions that both got right; `first`, `second`: one alone; `neither`: none of them.
    """
    total = both + first + second + neither
    if total == 0:
        return -1.0, 1.0
    p1, p2 = (both + first) / total, (both + second) / total
    (l1, u1), (l2, u2) = wilson(both + first, total), wilson(both + second, total)
    margins = (both + first) * (second + neither) * (both + second) * (first + neither)
    covariance: float = both * neither - first * second
    if covariance > 0:
        covariance = max(covariance - total / 2, 0)  # a correction for continuity
    phi = covariance / math.sqrt(margins) if margins else 0.0

    def half(a: float, b: float) -> float:
        return math.sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))

    return p1 - p2 - half(p1 - l1, u2 - p2), p1 - p2 + half(u1 - p1, p2 - l2)


def mcnemar(first: int, second: int) -> float:
    """Two-sided p of two being equally good at the same questions, exact (McNemar 1947, Psychometrika 12:153).

    `first`, `second`: questions that one alone got right; without a difference each falls on either side like a coin.
    """
    total, few = first + second, min(first, second)
    term = tail = 1
    for k in range(1, few + 1):
        term = term * (total - k + 1) // k
        tail += term
    share: float = 2 * tail / 2**total
    return min(1.0, share)


def t_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """The interval of a mean by Student's t (1908, Biometrika 6:1); None for fewer than two values."""
    count = len(values)
    if count < 2:
        return None
    mean = math.fsum(values) / count
    variance = math.fsum((v - mean) ** 2 for v in values) / (count - 1)
    half = t_quantile(count - 1, confidence) * math.sqrt(variance / count)
    return mean - half, mean + half


def t_quantile(freedom: int, confidence: float = 0.95) -> float:
    """What |T| stays below with that chance, T being Student's t with `freedom` >= 1; by bisection.

    At 0.95 the 97.5 % quantile. `confidence` in (0, 1).
    """
    if freedom < 1:
        raise ValueError(f"t needs at least one degree of freedom, got {freedom}")
    low, high = 0.0, 1 / (1 - confidence)  # one degree of freedom has the largest: about 2 / pi of this
    for _ in range(100):
        middle = (low + high) / 2
        if _t_between(middle, freedom) < confidence:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _t_between(t: float, freedom: int) -> float:
    """P(-t < T < t), exact for integer degrees of freedom (Abramowitz & Stegun 26.7.3 and 26.7.4)."""
    if freedom > 10_000:  # the series grows with freedom; here T is normal to six digits (A&S 26.7.8)
        z = t * (1 - 1 / (4 * freedom)) / math.sqrt(1 + t * t / (2 * freedom))
        return math.erf(z / math.sqrt(2))
    theta = math.atan2(t, math.sqrt(freedom))
    sine, square = math.sin(theta), math.cos(theta) ** 2
    if freedom % 2:
        total, term = 0.0, math.cos(theta)
        for k in range(1, freedom - 1, 2):
            total += term
            term *= square * (k + 1) / (k + 2)
        return 2 / math.pi * (theta + sine * total)
    total, term = 0.0, 1.0
    for k in range(0, freedom - 1, 2):
        total += term
        term *= square * (k + 1) / (k + 2)
    return sine * total


def auc(positives: Sequence[float], negatives: Sequence[float]) -> float | None:
    """The share of (positive, negative) pairs in which the positive scores higher, ties counting half.

    The area under the ROC curve (Hanley & McNeil 1982, Radiology 143:29); None where a side is empty.
    """
    if not positives or not negatives:
        return None
    ranked = sorted(negatives)
    wins = sum(bisect_left(ranked, p) + bisect_right(ranked, p) for p in positives)
    return wins / (2 * len(positives) * len(ranked))
