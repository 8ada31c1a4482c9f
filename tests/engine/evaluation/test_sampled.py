"""pass@k against enumeration of every draw, means over questions against their definitions."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.intervals import t_interval, wilson
from engine.evaluation.sampled import Sampled, ks, mean, pass_at_k, scores

CASES = st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n)))


@given(CASES)
def test_pass_at_k_is_the_share_of_draws_with_a_right_answer(case: tuple[int, int, int]) -> None:
    n, right, k = case
    draws = list(combinations([True] * right + [False] * (n - right), k))
    assert pass_at_k(n, right, k) == pytest.approx(sum(map(any, draws)) / len(draws), abs=1e-12)


def test_pass_at_k_of_hand() -> None:
    assert pass_at_k(8, 2, 1) == 0.25
    assert pass_at_k(8, 2, 8) == 1.0
    assert pass_at_k(8, 0, 8) == 0.0
    assert pass_at_k(5, 1, 2) == pytest.approx(0.4)
    assert pass_at_k(400, 3, 100) == pytest.approx(1 - (300 * 299 * 298) / (400 * 399 * 398))
    for wrong in ((4, 5, 1), (4, -1, 1), (4, 2, 5), (4, 2, 0)):
        with pytest.raises(ValueError, match="not defined"):
            pass_at_k(*wrong)


def test_the_estimate_is_unbiased() -> None:
    """Over all outcomes of 5 answers, each right with 0.3, its mean is the chance that one of 2 is."""
    p, n, k = 0.3, 5, 2
    outcomes = [(sum(bits), p ** sum(bits) * (1 - p) ** (n - sum(bits))) for bits in _bits(n)]
    assert sum(pass_at_k(n, right, k) * chance for right, chance in outcomes) == pytest.approx(1 - (1 - p) ** k)


def _bits(n: int) -> list[tuple[int, ...]]:
    return [tuple((number >> i) & 1 for i in range(n)) for number in range(2**n)]


@pytest.mark.parametrize(("samples", "told"), [(1, [1]), (2, [1, 2]), (8, [1, 2, 4, 8]), (10, [1, 2, 4, 8, 10])])
def test_which_k_are_told(samples: int, told: list[int]) -> None:
    assert ks(samples) == told


def test_scores_are_means_over_questions() -> None:
    sampled = [Sampled(4, 4, True), Sampled(4, 1, False), Sampled(4, 0, False), Sampled(4, 2, True)]
    found = scores(sampled)
    assert list(found) == ["pass@1", "pass@2", "pass@4", "maj@4"]
    assert (found["pass@1"].sum, found["pass@1"].questions) == (1.75, 4)
    low, high = t_interval([1.0, 0.25, 0.0, 0.5]) or (0.0, 0.0)
    assert found["pass@1"].interval == (max(low, 0.0), min(high, 1.0))
    assert found["pass@2"].sum == pytest.approx(1 + 0.5 + 0 + 5 / 6)
    assert found["pass@4"].interval == wilson(3, 4)
    assert found["maj@4"].interval == wilson(2, 4)
    assert scores([]) == {}


def test_a_mean_of_one_question_has_an_interval() -> None:
    assert mean([0.25]).interval == wilson(0, 1)
    assert mean([]).interval == (0.0, 1.0)


def test_questions_that_all_agree_do_not_make_their_mean_certain() -> None:
    assert mean([0.8] * 4).interval == wilson(3, 4)
    assert mean([1.0] * 50).interval == wilson(50, 50)
    assert mean([1.0, 0.6]).interval == (0.0, 1.0)  # t over two questions: 0.8 ±2.5
