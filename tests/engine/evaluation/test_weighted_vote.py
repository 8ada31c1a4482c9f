"""Weighted votes, tie credit and the accuracy curve: hand-worked numbers, and a naive version in fractions."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.evaluation.accuracy_curve import curve, difference
from engine.evaluation.intervals import newcombe_paired, t_interval, wilson
from engine.evaluation.weighted_vote import WEIGHTS, Weight, block_credits, credit, filled, weighed, weight_of
from engine.store.runs.evaluations import Ballot


@pytest.mark.parametrize(
    ("weight", "worth", "wins"),
    [
        # answers: A A B (B right), scores .2 .3 .9
        ("1", [1, 1, 1], 0.0),  # A 2, B 1
        ("s", [0.2, 0.3, 0.9], 1.0),  # A .5, B .9
        ("1+s", [1.2, 1.3, 1.9], 0.0),  # A 2.5, B 1.9
        ("1+2s", [1.4, 1.6, 2.8], 0.0),  # A 3.0, B 2.8
    ],
)
def test_weights_by_hand(weight: Weight, worth: list[float], wins: float) -> None:
    scores = [0.2, 0.3, 0.9]
    assert weighed(scores, weight) == pytest.approx(worth)
    assert credit([0, 0, 2], [False, False, True], weighed(scores, weight)) == wins


def test_ties_split_the_credit() -> None:
    right = [True, False, False, True, False]
    assert credit([0, 1, 2, None, 1], right, [1] * 5) == 0.0  # 1 leads with two
    assert credit([0, 1, 0, None, 1], right, [1] * 5) == 0.5  # two with two each
    assert credit([0, 1, 2, None, None], right, [1] * 5) == pytest.approx(1 / 3)
    assert credit([None] * 5, right, [1] * 5) == 0.0
    assert credit([0, 1], [True, False], [0.0, 0.0]) == 0.5


def test_the_same_weights_in_another_order_tie() -> None:
    few = [0.1, 0.2, 0.3]
    assert sum(few) != sum(reversed(few))
    assert credit([0, 0, 0, 3, 3, 3], [True] * 3 + [False] * 3, [*few, *reversed(few)]) == 0.5


def test_an_over_long_sample_takes_the_mean_of_its_questions_others() -> None:
    assert filled([0.2, None, 0.6, None]) == pytest.approx([0.2, 0.4, 0.6, 0.4])
    assert len(set(filled([None, None]))) == 1
    # A: .2 + .4 (over-long); B: .6
    assert credit([0, 0, 2], [True, True, False], weighed([0.25, None, 0.75], "s")) == 0.5  # .25 + .5 = .75


def test_a_weight_is_told_from_what_is_none() -> None:
    assert weight_of(" 1 + 2s ") == "1+2s"
    with pytest.raises(UsageError, match=r"--weight 2s: one of 1 s 1\+s 1\+2s"):
        weight_of("2s")


SAMPLES = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(0, 3)), st.one_of(st.none(), st.integers(0, 8))), min_size=1, max_size=9
)


@settings(max_examples=150, deadline=None)
@given(samples=SAMPLES, good=st.integers(0, 3), weight=st.sampled_from(WEIGHTS), size=st.integers(1, 4))
def test_a_naive_version_agrees(
    samples: list[tuple[int | None, int | None]], good: int, weight: Weight, size: int
) -> None:
    """Scores are eighths, so that a fraction and a float are the same number."""
    if len(samples) < size:
        size = len(samples)
    clusters = [c for c, _ in samples]
    scores = [None if s is None else s / 8 for _, s in samples]
    credits = []
    for at in range(0, len(samples) - size + 1, size):
        part = samples[at : at + size]
        known = [Fraction(s, 8) for _, s in part if s is not None]
        if len(set(known)) > 1 and len(known) not in (0, 1, 2, 4, 8) and None in [s for _, s in part]:
            return  # a mean that no float holds may make or break a tie
        mean = sum(known, Fraction(0)) / len(known) if known else Fraction(1, 2)
        votes: dict[int, Fraction] = {}
        for cluster, s in part:
            score = mean if s is None else Fraction(s, 8)
            worth = {"1": Fraction(1), "s": score, "1+s": 1 + score, "1+2s": 1 + 2 * score}[weight]
            if cluster is not None:
                votes[cluster] = votes.get(cluster, Fraction(0)) + worth
        top = [c for c, v in votes.items() if v == max(votes.values())]
        credits.append(Fraction(int(good in top), max(1, len(top))))
    wanted = sum(credits, Fraction(0)) / len(credits)
    found = block_credits(clusters, [c == good for c in clusters], scores, size, weight)
    assert found == pytest.approx(float(wanted))


def test_the_curve_by_hand() -> None:
    """Two questions, four samples: right, wrong, wrong, right; and all wrong but the last, which is trusted."""
    ballots = [
        Ballot((0, 1, 1, 0), (True, False, False, True), (0.5, 0.25, 0.25, 0.5)),
        Ballot((0, 0, 0, 3), (False, False, False, True), (0.125, 0.125, 0.125, 0.875)),
    ]
    points = curve(ballots, 4, "s")
    assert [p.samples for p in points] == [1, 2, 4]
    # at 1: means over four blocks, 2/4 and 1/4; at 2: (1/2 + 1/2) / 2 and (0 + 1/2) / 2; at 4: 1/2 and 0
    assert [p.count.value for p in points] == pytest.approx([(0.5 + 0.25) / 2, (0.5 + 0.25) / 2, 0.25])
    # by s, at 2: right wins both blocks of the first; of the second the block with the trusted one
    assert [p.weighted.value for p in points] == pytest.approx([0.375, (1 + 0.5) / 2, 1.0])
    assert [p.difference.value for p in points] == pytest.approx([0, 0.375, 0.75])
    assert (points[0].difference.low, points[0].difference.high) == (0, 0)  # one answer wins whatever it weighs
    low, high = t_interval([0.5, 0.25]) or (0, 0)
    assert (points[1].difference.low, points[1].difference.high) == (max(-1, low), min(1, high))
    assert (points[2].weighted.low, points[2].weighted.high) == wilson(2, 2)
    assert curve([], 4, "s") == []


def test_differences_have_paired_intervals() -> None:
    before, after = [1.0, 1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 1.0, 1.0, 1.0]
    found = difference(before, after)
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == newcombe_paired(2, 2, 1, 0)
    same = difference([0.5, 0.25, 1.0], [0.5, 0.25, 1.0])
    assert same.value == 0.0
    assert same.low < 0 < same.high
