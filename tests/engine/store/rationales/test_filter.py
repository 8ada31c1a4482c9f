"""Filters: what is typed is understood or refused with the nearest term; SQL finds what reading everything does."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.store.rationales.filter import Filter, last_steps, matching_questions, parse, quality_range
from engine.store.rationales.notes import remark
from engine.store.rationales.queries import rationales_like
from engine.store.rationales.questions import read_keys
from tests.seeded import build


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> sqlite3.Connection:
    path = build(tmp_path_factory.mktemp("filter") / "x.db")
    remark(path, 8, "train-0003", flagged=True)
    con = sqlite3.connect(path)
    number = con.execute("SELECT min(number) FROM rationales WHERE run_id = 8 AND example = 'train-0005'").fetchone()[0]
    remark(path, 8, "train-0005", number, flagged=True)
    remark(path, 8, "train-0006", note="no flag")
    con.execute("UPDATE predictions SET correct = 1 - correct WHERE example = 'train-0002' AND step = 1200")
    con.execute("UPDATE votes SET correct = 0, answer = '99' WHERE run_id = 8 AND example = 'train-0004'")
    con.execute("UPDATE rationales SET answer = (SELECT x.answer FROM examples x WHERE x.key = 'train-0004')"
                " WHERE run_id = 8 AND example = 'train-0004' AND source = 'minority'")  # fmt: skip
    con.commit()
    return con


def test_a_line_is_read_and_written_back() -> None:
    line = 'polarity=negative source=self quality=0.1..0.3 chosen=yes active=no answer=wrong flipped=yes text="a b"'
    wanted = parse(line)
    assert wanted == Filter("negative", "self", (0.1, 0.3), True, False, False, flipped=True, text="a b")
    assert str(wanted) == line
    assert parse("") == parse("  ") == Filter()
    assert parse("chosen flagged") == Filter(chosen=True, flagged=True)
    assert parse("quality>0.2 quality<0.4").quality == (0.2, 0.4)
    assert parse("quality=0.5").quality == (0.5, 0.5)
    assert quality_range("<0.3") == (0.0, 0.3)
    assert quality_range("0.2..1") == (0.2, 1.0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("polarty=negative", "did you mean polarity?"),
        ("polarity=good", "none of positive, negative, dropped, unparsed"),
        ("quality<x", "write quality=0.2..0.6"),
        ("source>self", "takes =, not >"),
        ("chosn", "did you mean chosen?"),
        ("xyzzy", "terms are polarity, source"),
        ("quality=", "write quality"),
    ],
)
def test_what_is_not_understood_is_said(line: str, said: str) -> None:
    with pytest.raises(UsageError, match="filter: ") as error:
        parse(line)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@given(st.text(max_size=40))
def test_any_line_is_read_or_refused(line: str) -> None:
    with suppress(UsageError):
        parse(line)


ROWS = """
SELECT v.position AS at, r.polarity, r.source, l.quality, l.chosen, l.active, r.answer, x.answer AS gold, v.correct,
    v.answer AS vote, t.text
FROM votes v JOIN examples x ON x.key = v.example JOIN rationales r USING (run_id, example)
JOIN texts t ON t.id = r.text_id
LEFT JOIN last_visits l ON l.run_id = r.run_id AND l.example = r.example AND l.number = r.number WHERE v.run_id = 8
"""


def right(row: Any) -> bool | None:
    if row["answer"] is None:
        return None
    if row["polarity"] == "positive":
        return bool(row["correct"])
    return row["answer"] == row["gold"] or bool(row["correct"] and row["answer"] == row["vote"])


LINES = {
    "polarity=unparsed": lambda r: r["polarity"] == "unparsed",
    "source=self quality<0.11": lambda r: r["source"] == "self" and (r["quality"] or 1) <= 0.11,
    "quality>0.9 polarity=negative": lambda r: False,
    "chosen=no polarity=negative": lambda r: r["chosen"] == 0 and r["polarity"] == "negative",
    "active": lambda r: r["polarity"] == "negative" and r["chosen"] == 1 and r["active"] == 1,
    "active=no": lambda r: r["polarity"] == "negative" and r["chosen"] == 1 and r["active"] == 0,
    "answer=wrong": lambda r: right(r) is False,
    "answer=right polarity=negative": lambda r: right(r) is True and r["polarity"] == "negative",
    'text="depends on what"': lambda r: "depends on what" in r["text"],
    "text=+ chosen": lambda r: False,
    "text=.": lambda r: "." in r["text"],
}


@pytest.mark.parametrize("line", LINES)
def test_rationales_are_let_in(con: sqlite3.Connection, line: str) -> None:
    con.row_factory = sqlite3.Row
    rows = con.execute(ROWS).fetchall()
    con.row_factory = None
    expected = tuple(sorted({row["at"] for row in rows if LINES[line](row)}))
    places = {key: i for i, key in enumerate(read_keys(con, 8))}
    assert matching_questions(con, 8, places, parse(line), last_steps(con, 8)) == expected


def test_what_is_asked_of_visits_is_asked_of_the_questions_last_one(con: sqlite3.Connection) -> None:
    """An earlier self's last visit is older than its question's: it was active then, and nothing tells of now."""
    places = {key: i for i, key in enumerate(read_keys(con, 8))}
    steps = last_steps(con, 8)
    active = matching_questions(con, 8, places, parse("active"), steps)
    both = matching_questions(con, 8, places, parse("active answer=wrong"), steps)
    example = next(key for key, place in places.items() if place == active[0])
    assert active[0] in both
    older = "UPDATE last_visits SET step = step - 1 WHERE run_id = 8 AND example = ? AND number IN"
    con.execute(f"{older} (SELECT number FROM rationales WHERE polarity = 'negative' AND run_id = 8)", (example,))
    assert matching_questions(con, 8, places, parse("active"), steps) == active[1:]
    assert matching_questions(con, 8, places, parse("active answer=wrong"), steps) == both[1:]
    assert active[0] in matching_questions(con, 8, places, parse("polarity=negative"), steps)
    con.row_factory = sqlite3.Row
    assert example not in {row["example"] for row in rationales_like(con, 8, parse("active"))}


def test_questions_are_let_in_by_flags_and_by_the_students_answers(con: sqlite3.Connection) -> None:
    places = {key: i for i, key in enumerate(read_keys(con, 8))}

    def found(line: str) -> tuple[int, ...]:
        return matching_questions(con, 8, places, parse(line), last_steps(con, 8))

    assert found("") == tuple(range(40))
    assert found("flagged") == (3, 5)
    assert 3 not in found("flagged=no")
    assert len(found("flagged=no")) == 39
    last: dict[int, list[int]] = {}
    for at, correct in con.execute(
        "SELECT v.position, p.correct FROM predictions p JOIN votes v USING (run_id, example)"
        " WHERE run_id = 8 AND head = 'explain' ORDER BY step"
    ):
        last.setdefault(at, []).append(correct)
    assert found("student=wrong") == tuple(at for at, answers in sorted(last.items()) if not answers[-1])
    flipped = tuple(at for at, answers in sorted(last.items()) if answers[-1] != answers[-2])
    assert found("flipped") == flipped
    assert 2 in flipped
    assert found("flipped=no student=right") == tuple(
        at for at, answers in sorted(last.items()) if answers[-1] == answers[-2] == 1
    )
    assert found("flipped polarity=negative") == tuple(at for at in flipped if at % 3 != 2)


def test_remarks_are_kept_changed_and_taken_away(tmp_path: Path) -> None:
    path = build(tmp_path / "x.db")
    assert remark(path, 8, "train-0001", flagged=True, note=" why?\x1b ").note == "why?\x1b"
    assert remark(path, 8, "train-0001", note="so").flagged
    assert remark(path, 8, "train-0001", flagged=False).note == "so"
    remark(path, 8, "train-0001", note="")
    con = sqlite3.connect(path)
    assert con.execute("SELECT * FROM rationale_notes").fetchall() == []
    for key, number, said in (("nowhere", -1, "no question"), ("train-0001", 999, "no rationale 999")):
        with pytest.raises(UsageError, match=said):
            remark(path, 8, key, number, flagged=True)
    with pytest.raises(UsageError, match="shorten it"):
        remark(path, 8, "train-0001", note="x" * 10_001)
