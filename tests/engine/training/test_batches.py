"""Which items a step sees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.spec.run import RunSpec
from engine.training.batches import Candidate, Schedule, counted, iterations_of, parted
from tests.engine.tiny_t5 import rationale

schedules = st.builds(
    lambda items, batch, steps, iterations, seed: Schedule(items, batch, steps, min(iterations, steps), seed),
    st.integers(1, 40),
    st.integers(1, 12),
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(0, 3),
)


@given(schedules)
def test_every_epoch_sees_each_item_once(s: Schedule) -> None:
    seen = [i for step in range(1, s.steps + 1) for i in s.batch(step)]
    for at in range(0, len(seen) - s.items + 1, s.items):
        assert sorted(seen[at : at + s.items]) == list(range(s.items))


@given(schedules)
def test_iterations_cover_all_steps_in_order(s: Schedule) -> None:
    found = [s.iteration(step) for step in range(1, s.steps + 1)]
    assert found == sorted(found)
    assert found[0] == 1
    assert found[-1] == s.iterations
    for t in range(1, s.iterations + 1):
        steps = [step for step, of in enumerate(found, 1) if of == t]
        assert steps == list(range(s.last_step(t - 1) + 1, s.last_step(t) + 1))


@given(schedules)
def test_due_are_the_items_that_the_iteration_sees(s: Schedule) -> None:
    for t in range(1, s.iterations + 1):
        steps = range(s.last_step(t - 1) + 1, s.last_step(t) + 1)
        assert set(s.due(t)) == {i for step in steps for i in s.batch(step)}
        assert len(set(s.due(t))) == len(s.due(t))


@given(schedules)
def test_last_visits_are_the_last(s: Schedule) -> None:
    wanted: dict[int, int] = {}
    for step in range(1, s.steps + 1):
        for i in s.batch(step):
            wanted[i] = step
    assert s.last_visits() == wanted


def test_seeds_give_other_orders_and_equal_seeds_the_same() -> None:
    a, b, c = (Schedule(100, 10, 5, 5, seed) for seed in (0, 0, 1))
    assert [a.batch(t) for t in range(1, 6)] == [b.batch(t) for t in range(1, 6)]
    assert a.batch(1) != c.batch(1)


def test_an_iteration_that_is_an_epoch_is_counted_over_the_examples_and_checked_against_the_lag() -> None:
    spec = RunSpec.model_validate({"training": {"iterations": "epoch", "steps": 100, "batch_size": 10}})
    assert [iterations_of(spec, items) for items in (160, 150, 100, 1)] == [6, 7, 10, 100]
    with pytest.raises(UsageError, match=r'"epoch" makes 2 of 100 steps .* must be smaller'):
        iterations_of(spec, 500)
    dss = RunSpec.model_validate({"method": {"name": "dss"}, "training": {"iterations": "epoch", "steps": 10}})
    assert iterations_of(dss, 10**6) == 1
    assert iterations_of(RunSpec(), 3) == 50


def test_a_negative_counts_from_where_it_parts_from_the_positive_it_shares_most_with() -> None:
    def of(*tokens: int) -> Candidate:
        return Candidate(rationale(0, "", "negative"), "", list(tokens))

    positives = [of(1, 2, 9, 3, 0), of(1, 7, 0)]
    assert parted(of(1, 2, 8, 3, 0), positives).counted_from == 2
    assert parted(of(1, 7, 7, 0), positives).counted_from == 2
    assert parted(of(5, 0), positives).counted_from == 0
    assert parted(of(1, 7, 0), positives).counted_from == 2  # equal to a positive: its last token still counts
    assert parted(of(4, 0), []).counted_from == 0
    assert [c.tokens for c in counted([of(1, 7, 0), of(1, 8, 0)], positives, "parted")] == [[1, 8, 0]]
    forks = counted([of(1, 7, 0), of(1, 2, 8, 3, 0), of(5, 0), of(1, 7)], positives, "fork")
    assert [(c.tokens, c.counted_from) for c in forks] == [([1, 2, 8], 2)]
    assert counted([of(1, 7, 0)], positives, "all") == (of(1, 7, 0),)
