"""Intervals and areas, against values from tables and against their definitions."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.intervals import auc, newcombe_paired, t_interval, t_quantile, wilson

SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), max_size=12)


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_against_known_values(right: int, total: int, low: float, high: float) -> None:
    """Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3."""
    assert wilson(right, total) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_within_0_and_1(case: tuple[int, int]) -> None:
    right, total = case
    low, high = wilson(right, total)
    assert 0 <= low <= right / total <= high <= 1
    assert low < high
    assert wilson(total - right, total) == pytest.approx((1 - high, 1 - low))


def test_wilson_of_nothing_and_of_nonsense() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="not a proportion"):
        wilson(3, 2)


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.7062), (2, 4.30265), (3, 3.18245), (4, 2.77645), (9, 2.26216), (10, 2.22814), (30, 2.04227), (120, 1.97993),
     (1000, 1.96234), (20_000, 1.96008)],
)  # fmt: skip
def test_t_against_the_table(freedom: int, quantile: float) -> None:
    assert t_quantile(freedom) == pytest.approx(quantile, abs=6e-6)


def test_t_interval() -> None:
    low, high = t_interval([0.61, 0.64, 0.70]) or (math.nan, math.nan)
    assert (low, high) == pytest.approx((0.536162, 0.763838), abs=1e-6)
    assert t_interval([1.0]) is None
    assert t_interval([2.0, 2.0, 2.0]) == (2.0, 2.0)
    with pytest.raises(ValueError, match="degree of freedom"):
        t_quantile(0)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [((14, 5, 0, 22), 0.011, 0.226), ((20, 12, 2, 16), 0.0562, 0.3292)],
)
def test_newcombe_against_known_values(table: tuple[int, int, int, int], low: float, high: float) -> None:
    """Altman et al. 2000 (Statistics with Confidence, p. 52); Newcombe 1998 (Statistics in Medicine 17:2635)."""
    assert newcombe_paired(*table) == pytest.approx((low, high), abs=5e-4)


@pytest.mark.parametrize("chances", [(0.4, 0.2, 0.1, 0.3), (0.7, 0.1, 0.1, 0.1), (0.2, 0.05, 0.3, 0.45)])
def test_newcombe_covers_the_truth_in_95_of_100_samples(chances: tuple[float, ...]) -> None:
    """Over every table of 20 questions, weighed by its multinomial probability."""
    total, covered = 20, 0.0
    truth = chances[1] - chances[2]
    for a in range(total + 1):
        for b in range(total + 1 - a):
            for c in range(total + 1 - a - b):
                table = (a, b, c, total - a - b - c)
                low, high = newcombe_paired(*table)
                if low <= truth <= high:
                    ways = math.factorial(total) / math.prod(math.factorial(n) for n in table)
                    covered += ways * math.prod(p**n for p, n in zip(chances, table, strict=True))
    assert 0.93 < covered < 0.99


TABLES = st.tuples(*[st.integers(0, 40)] * 4).filter(any)


@given(TABLES)
def test_newcombe_holds_the_difference_and_turns_its_sign(table: tuple[int, int, int, int]) -> None:
    both, first, second, neither = table
    low, high = newcombe_paired(*table)
    assert low - 1e-9 <= (first - second) / sum(table) <= high + 1e-9
    assert newcombe_paired(both, second, first, neither) == pytest.approx((-high, -low))
    assert newcombe_paired(neither, first, second, both) == pytest.approx((low, high)), "wrong instead of right"
    assert newcombe_paired(0, 0, 0, 0) == (-1.0, 1.0)


@given(SCORES, SCORES)
def test_auc_is_the_share_of_pairs(positives: list[float], negatives: list[float]) -> None:
    found = auc(positives, negatives)
    if not positives or not negatives:
        assert found is None
        return
    pairs = [(p > n) + (p == n) / 2 for p in positives for n in negatives]
    assert found == pytest.approx(sum(pairs) / len(pairs))


@pytest.mark.parametrize(
    ("freedom", "confidence", "quantile"), [(1, 0.99, 63.65674), (2, 0.999, 31.59905), (9, 0.98, 2.82144)]
)
def test_t_at_other_confidences_as_the_tables_have_it(freedom: int, confidence: float, quantile: float) -> None:
    assert t_quantile(freedom, confidence) == pytest.approx(quantile, abs=1e-5)
