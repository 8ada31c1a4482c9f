"""The list of runs read again and again is what a first reading would give, and keeps what did not change."""

import sqlite3
from pathlib import Path

import pytest

from engine.store.runs.listing import RunListReader, stale
from engine.store.runs.marks import set_archived, set_star, set_tags
from tests.seeded import NOW, build


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return build(tmp_path / "experiments.db")


@pytest.fixture
def con(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


CHANGES = (
    "UPDATE runs SET step = step + 1 WHERE id = 8",
    "UPDATE runs SET status = 'done', ended_at = 1.8e9 + 1 WHERE id = 8",
    "UPDATE runs SET status = 'running', ended_at = NULL, error = NULL WHERE id = 5",
    "UPDATE runs SET status = 'failed', ended_at = 1.8e9 + 2, error = 'again' WHERE id = 5",
    "UPDATE runs SET status = 'failed', ended_at = 1.8e9 + 3, error = 'at once' WHERE id = 7",
    "INSERT INTO scores VALUES (6, 'test', 'student', 'explain', 1600, 9, 10, 0.9, 0.8, 1.0)",
    "INSERT INTO run_marks VALUES (3, 1, 0, 'good', 1); INSERT INTO run_tags VALUES (3, 'paper')",
    "UPDATE run_marks SET archived = 1, change = 2 WHERE run_id = 3",
    "INSERT INTO runs SELECT 12, 'new', 'queued', method, dataset, teacher, student, seed, spec, folder, created_at,"
    " NULL, NULL, NULL, 0, steps, 0, iterations, NULL FROM runs WHERE id = 4",
    "INSERT INTO facts VALUES (12, 'sample', 'price in USD', 1.5)",
    "DELETE FROM runs WHERE id = 1",
)


@pytest.mark.parametrize("where", ["", "method=qcrd acc>0.5", "state=failed", "star archived=no", "age<2h"])
def test_each_look_is_what_a_first_look_would_be(con: sqlite3.Connection, where: str) -> None:
    reader = RunListReader()
    arguments = (where, ("method.loss.delta",), False, NOW + 20)
    assert reader.read(con, *arguments) == RunListReader().read(con, *arguments)
    for sql in CHANGES:
        con.executescript(sql)
        assert reader.read(con, *arguments) == RunListReader().read(con, *arguments), sql


def test_what_did_not_change_is_the_same_object(con: sqlite3.Connection) -> None:
    reader = RunListReader()
    before = reader.read(con, "", (), False, NOW)
    assert reader.read(con, "", (), False, NOW) is before
    con.execute("UPDATE runs SET step = 1400 WHERE id = 8")
    after = reader.read(con, "", (), False, NOW)
    assert [a.run.id for a, b in zip(after.runs, before.runs, strict=True) if a is not b] == [8]
    assert after.runs[1].run.step == 1400


def test_marks_settings_cost_and_what_is_hidden(path: Path, con: sqlite3.Connection) -> None:
    set_star(path, [4], True)
    set_tags(path, [4], ["paper", "fig2"], [])
    set_archived(path, [1, 2], True)
    con.execute("INSERT INTO facts VALUES (4, 'sample', 'price in USD', 1.84)")
    seen = RunListReader().read(con, "", ("method.loss.delta", "method.name"), False, NOW)
    assert ([one.run.id for one in seen.runs], seen.total, seen.away) == ([9, 8, 7, 6, 5, 4, 3], 9, 2)
    four = seen.runs[5]
    assert (four.star, four.tags, four.cost, four.settings) == (True, ("fig2", "paper"), 1.84, (3.0, "qcrd"))
    assert seen.runs[0].cost is None
    assert [one.run.id for one in RunListReader().read(con, "archived", (), False, NOW).runs] == [2, 1]
    assert len(RunListReader().read(con, "", (), True, NOW).runs) == 9


def test_a_filter_that_means_nothing_keeps_the_list_and_says_why(con: sqlite3.Connection) -> None:
    reader = RunListReader()
    good = reader.read(con, "method=dss", (), False, NOW)
    bad = reader.read(con, "metod=dss", (), False, NOW)
    assert bad.runs == good.runs
    assert "did you mean method?" in (bad.wrong or "")
    assert reader.read(con, "method=dss", (), False, NOW) == good
    assert len(RunListReader().read(con, "metod=dss", (), False, NOW).runs) == 9


def test_stale_is_told_by_the_clock_alone(con: sqlite3.Connection) -> None:
    seen = RunListReader().read(con, "", (), False, NOW)
    assert [one.run.id for one in seen.live] == [8, 6]
    assert stale(seen.live, NOW) == {6}
    assert stale(seen.live, NOW + 60) == {6, 8}


@pytest.mark.parametrize("where", ["", "method=qcrd", "archived", "nothing=1"])
@pytest.mark.parametrize("archived", [False, True])
def test_the_newest_alone_are_those_of_the_whole_list(
    path: Path, con: sqlite3.Connection, where: str, archived: bool
) -> None:
    set_archived(path, [2, 7], True)
    whole = RunListReader().read(con, where, (), archived, NOW)
    part = RunListReader()
    first = part.read(con, where, (), archived, NOW, newest=2)
    assert (first.runs, first.found, first.total) == (whole.runs[:2], len(whole.runs), whole.total)
    assert (first.away, first.wrong) == (whole.away, whole.wrong)
    assert part.read(con, where, (), archived, NOW, newest=2) == first  # nothing was kept
    assert part.read(con, where, (), archived, NOW) == whole
    assert part.read(con, where, (), archived, NOW, newest=2) is part.read(con, where, (), archived, NOW)
