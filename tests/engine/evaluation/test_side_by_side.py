"""Runs side by side: what they differ in, paired differences against hand-counted ones, and where they disagree."""

import sqlite3
from math import comb
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.intervals import mcnemar, newcombe_paired
from engine.evaluation.overlap import overlap, overlaps
from engine.evaluation.side_by_side import SideReader, read_written
from tests.seeded import build


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> sqlite3.Connection:
    return sqlite3.connect(build(tmp_path_factory.mktemp("seeded") / "experiments.db"))


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_a_coin_tossed_for_each_question_one_alone_got_right(first: int, second: int) -> None:
    total = first + second
    as_far = sum(comb(total, k) for k in range(total + 1) if abs(2 * k - total) >= abs(first - second))
    assert mcnemar(first, second) == pytest.approx(as_far / 2**total)


def test_mcnemar_of_many_questions_is_a_number() -> None:
    assert 0 < mcnemar(2600, 2400) < 0.01
    assert mcnemar(0, 5000) == 0.0


def test_differences_are_counted_on_the_questions_that_both_answered(con: sqlite3.Connection) -> None:
    found = SideReader((2, 4), "explain").read(con)
    assert found is not None
    assert found.sides[0].differences == {}
    explain = found.sides[1].differences["explain"]  # right: 0-7 and 7-19
    assert (explain.questions, explain.alone, explain.first_alone) == (20, 12, 7)
    assert explain.overlap == pytest.approx(1 / 20)  # question 7, of all that either solved
    assert explain.value == pytest.approx(5 / 20)
    assert (explain.low, explain.high) == newcombe_paired(1, 12, 7, 0)
    assert explain.p == mcnemar(12, 7)
    assert found.sides[1].differences["predict"].value == 0.0


def test_the_overlap_of_every_two_runs_is_counted_by_question(con: sqlite3.Connection) -> None:
    con.row_factory = sqlite3.Row
    found = {(x.first, x.second): x for x in overlaps(con, (2, 3, 4)) if x.head == "explain"}
    solved = {
        run_id: {
            row["example"]
            for row in con.execute(
                "SELECT example FROM predictions WHERE run_id = ? AND split = 'test' AND head = 'explain' AND correct",
                (run_id,),
            )
        }
        for run_id in (2, 3, 4)
    }
    assert set(found) == {(2, 3), (2, 4), (3, 4)}
    for (a, b), one in found.items():
        both, either = solved[a] & solved[b], solved[a] | solved[b]
        assert (one.both, one.union, one.questions) == (len(both), len(either), 20)
        assert (one.first_alone, one.second_alone) == (len(solved[a] - solved[b]), len(solved[b] - solved[a]))
        assert one.iou == pytest.approx(len(both) / len(either))
    assert overlap(0, 0, 0) is None


def test_disagreements_are_the_questions_that_not_all_got_right_or_wrong(con: sqlite3.Connection) -> None:
    found = SideReader((2, 3, 4), "explain").read(con)
    assert found is not None
    assert (found.asked, found.disagreeing) == (20, 19)  # all are right on question 7 alone
    assert {d.example: d.right for d in found.disagreements}["test-0002"] == (True, True, False)
    assert "test-0007" not in {d.example for d in found.disagreements}
    assert SideReader((2, 3, 4), "predict").read(con).disagreements == ()  # type: ignore[union-attr]


def test_only_settings_that_differ_are_told(con: sqlite3.Connection) -> None:
    found = SideReader((3, 4), "explain").read(con)
    assert found is not None
    assert dict(found.settings) == {"method.name": ('"positives"', '"qcrd"')}


def test_runs_that_are_not_there_are_left_out_and_new_answers_are_seen(tmp_path: Path) -> None:
    con = sqlite3.connect(build(tmp_path / "experiments.db"))
    reader = SideReader((4, 77, 8), "explain")
    found = reader.read(con)
    assert found is not None
    assert [side.run.id for side in found.sides] == [4, 8]
    assert found.asked == 0
    assert SideReader((77,), "explain").read(con) is None
    con.execute(
        "INSERT INTO predictions SELECT 8, split, example, head, step, text_id, answer, 1 - correct FROM predictions"
        " WHERE run_id = 4 AND split = 'test'"
    )
    con.execute("INSERT INTO scores VALUES (8, 'test', 'student', 'explain', 2000, 7, 20, 0.35, 0.18, 0.57)")
    again = reader.read(con)
    assert again is not None
    assert (again.asked, again.disagreeing) == (20, 20)


def test_what_they_wrote(con: sqlite3.Connection) -> None:
    right, wrong, missing = read_written(con, (2, 4, 8), "test-0000", "explain")
    assert right is not None
    assert wrong is not None
    assert (right.right, wrong.right, missing) == (True, False, None)
    assert "the answer is" in right.text
