"""Which teacher writes a sample: by shares, the same every time."""

from hypothesis import given
from hypothesis import strategies as st

from engine.teacher.mixed import teacher_of


def test_the_shares_are_kept_to() -> None:
    found = [teacher_of(f"question {i}", slot, [0.3, 0.2]) for i in range(2000) for slot in range(5)]
    for index, share in enumerate([0.5, 0.3, 0.2]):
        assert abs(found.count(index) / len(found) - share) < 0.02  # four standard deviations


def test_all_or_nothing() -> None:
    assert {teacher_of("q", slot, []) for slot in range(100)} == {0}
    assert {teacher_of("q", slot, [1.0]) for slot in range(100)} == {1}
    assert {teacher_of("q", slot, [0.5, 0.5]) for slot in range(100)} == {1, 2}


@given(st.text(), st.integers(0, 1000), st.floats(0, 0.5), st.floats(0, 0.5))
def test_one_more_teacher_takes_from_the_first_alone(question: str, slot: int, share: float, more: float) -> None:
    before, after = teacher_of(question, slot, [share]), teacher_of(question, slot, [share, more])
    assert after == before or (before, after) == (0, 2)
