"""The SQL screen: every key of its table, and a runaway query that nobody waits for."""

import json
import sqlite3
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from engine.store.guarded import Result
from engine.text import HOSTILE as HOSTILE_CHARACTERS
from screens.confirm import ConfirmScreen
from screens.runs import RunsScreen
from screens.sql import SqlScreen
from screens.widgets.grid import Grid
from screens.widgets.result_text import kind_of, told
from screens.widgets.sql_editor import Offers, SqlEditor
from tests.pilot import console, press, settle, shown, until
from tests.screens.test_hostile_pilot import HOSTILE

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


@pytest.fixture(autouse=True)
def _own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


async def run(pilot: Pilot[None], sql: str) -> None:
    """Put a query into the editor, and wait for what it finds."""
    screen = pilot.app.screen
    assert isinstance(screen, SqlScreen)
    screen.query_one(SqlEditor).put(sql)
    await pilot.press("f5")
    await until(pilot, lambda: screen._job is None)
    await pilot.pause()


async def test_a_query_is_typed_completed_run_and_walked_through(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "5")
        assert "best-runs" in shown(pilot)
        assert "metric_points" in shown(pilot)
        editor, grid, offers = (app.screen.query_one(t) for t in (SqlEditor, Grid, Offers))
        await pilot.press(*"select", "space", *"id,", "space", *"name", "space", *"from", "space", *"run_s")
        await pilot.pause()
        assert offers.display
        await pilot.press("tab", "space", *"order", "space", *"by", "space", "1", "space", *"desc")
        assert editor.text == "select id, name from run_summary order by 1 desc"
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "9 rows" in shown(pilot))
        assert grid.has_focus
        for key, at in (
            ("j", (1, 0)),
            ("down", (2, 0)),
            ("l", (2, 1)),
            ("right", (2, 1)),
            ("k", (1, 1)),
            ("up", (0, 1)),
            ("G", (8, 1)),
            ("g", (0, 1)),
            ("pagedown", (8, 1)),
            ("pageup", (0, 1)),
            ("h", (0, 0)),
            ("left", (0, 0)),
        ):
            await pilot.press(key)
            assert (grid.row, grid.column) == at, key
        await pilot.press("l")
        await pilot.pause()
        assert "name · text, 15 characters · row 1" in shown(pilot)
        await pilot.press("enter")
        assert app.screen.has_class("-tall")
        await pilot.press("escape")
        assert not app.screen.has_class("-tall")
        await pilot.press("y")
        assert app.clipboard == "qcrd query 'select id, name from run_summary order by 1 desc'"
        await pilot.press("e")
        assert editor.has_focus
        await pilot.press("5", "q")  # typed
        assert editor.text.endswith("desc5q")
        await pilot.press("escape", "escape")
        await settle(pilot)
        assert isinstance(app.screen, RunsScreen)


async def test_completions_are_chosen_by_arrows_and_left_by_escape(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "5")
        editor, offers = app.screen.query_one(SqlEditor), app.screen.query_one(Offers)
        await pilot.press(*"run", "down", "down", "up")
        await pilot.pause()
        wanted = editor.offered.choices[1].word
        await pilot.press("enter")
        assert editor.text == wanted
        await pilot.press("space", *"ru")
        await pilot.pause()
        assert offers.display
        await pilot.press("escape")
        await pilot.pause()
        assert not offers.display
        assert editor.has_focus
        await pilot.press("enter")
        assert editor.text == f"{wanted} ru\n"
        await pilot.press("ctrl+n")
        assert editor.text == ""


async def test_history_in_an_empty_editor(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "5")
        editor = app.screen.query_one(SqlEditor)
        for sql in ("SELECT 1", "SELECT\n2"):
            await run(pilot, sql)
        await pilot.press("e", "ctrl+n", "up")
        assert editor.text == "SELECT\n2"
        await pilot.press("up")
        assert editor.text == "SELECT 1"
        await pilot.press("up", "down")
        assert editor.text == "SELECT\n2"
        await pilot.press("down")
        assert editor.text == ""


async def test_a_runaway_query_is_stopped_and_nobody_waits(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "5")
        app.screen.query_one(SqlEditor).put(ENDLESS)
        await pilot.press("f5")
        await until(pilot, lambda: "Esc stops it" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: "the query was stopped" in shown(pilot))
        await pilot.press("f5")
        job = app.screen._job
        assert job is not None
        # the reader goes on meanwhile, and so do the other screens
        app.action_go("runs")
        await settle(pilot)
        con = sqlite3.connect(database)
        con.execute("UPDATE runs SET name = 'renamed-now' WHERE id = 9")
        con.commit()
        con.close()
        await until(pilot, lambda: "renamed-now" in shown(pilot))
    job.join(5)
    assert not job._thread.is_alive()


async def test_mistakes_are_one_line_and_a_cut_result_says_so(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screens.sql.ROWS", 5)
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "5")
        await pilot.press("f5")
        await run(pilot, "SELECT nam FROM run_summary")
        assert "no such column: nam: did you mean name" in shown(pilot)
        await run(pilot, "DELETE FROM runs")
        assert "a query can only read" in shown(pilot)
        await run(pilot, "SELECT id, NULL AS missing, '' AS blank FROM runs")
        await until(pilot, lambda: "5 of >5 rows" in shown(pilot))
        assert "NULL" in shown(pilot)
        await pilot.press("l")
        await pilot.pause()
        assert "missing · null" in shown(pilot)
        await pilot.press("l")
        await pilot.pause()
        assert "blank · text, 0 characters" in shown(pilot)
        assert "(empty or blank text)" in shown(pilot)
        await run(pilot, "SELECT 1 WHERE 0")
        assert "0 rows" in shown(pilot)


async def test_export_asks_for_a_file_and_before_it_overwrites(database: Path, tmp_path: Path) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "5")
        await run(pilot, "SELECT id FROM runs ORDER BY id")
        for answer in ("", "n", "y"):
            await pilot.press("f8")
            await pilot.press(*["backspace"] * 3, *"json", "enter")
            if answer:
                assert isinstance(app.screen, ConfirmScreen)
                (tmp_path / "result.json").write_text("mine") if answer == "n" else None
                await pilot.press(answer)
            await until(pilot, lambda: isinstance(app.screen, SqlScreen) and app.screen._job is None)
            found = (tmp_path / "result.json").read_text()
            assert found == "mine" if answer == "n" else len(json.loads(found)) == 9
        await until(pilot, lambda: "9 rows in result.json" in shown(pilot))
        await pilot.press("f8", *["backspace"] * 3, *"txt", "enter")
        await until(pilot, lambda: "must end in .csv" in shown(pilot))


async def test_queries_are_saved_and_taken_again(database: Path, tmp_path: Path) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "5")
        editor = app.screen.query_one(SqlEditor)
        editor.put("-- mine\nSELECT 1")
        await pilot.press("f4", *"aaa", "enter")
        kept = tmp_path / "config" / "qcrd" / "queries" / "aaa.sql"
        await until(pilot, kept.exists)
        editor.put("SELECT 2")
        await pilot.press("f4", *"aaa", "enter")
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.press("y")
        assert kept.read_text() == "SELECT 2\n"
        await pilot.press("f4", *"../x", "enter")
        await until(pilot, lambda: "a query's name is letters" in shown(pilot))
        await pilot.press("ctrl+n", "ctrl+o")
        assert app.screen.query_one(OptionList).option_count > 5
        await pilot.press("j", "k", "enter")
        await pilot.pause()
        assert editor.text == "SELECT 2"
        await pilot.press("f3", "escape")
        assert isinstance(app.screen, SqlScreen)


async def test_hostile_values_queries_and_names(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "5")
        for text in HOSTILE.values():
            pages = []
            quoted = text.replace("\x00", "").replace("'", "''")
            if len(text) < 10_000:
                for sql in (f"SELECT '{quoted}' AS \"x{quoted.replace(chr(34), '')}\"", f"SELECT '{quoted}"):
                    await run(pilot, sql)
                    pages.append(shown(pilot))
            con = sqlite3.connect(database)
            con.execute("UPDATE runs SET name = ?", (text,))
            con.commit()
            con.close()
            await run(pilot, "SELECT name, id FROM runs")
            pages.append(shown(pilot))
            assert not [c for page in pages for c in page if c != "\n" and HOSTILE_CHARACTERS.match(c)]


def test_how_many_of_how_many() -> None:
    assert told(Result(("a",), [(1,)] * 500, True, 0.012)) == "500 of >500 rows · 12 ms"
    assert told(Result(("a",), [(1,)], False, 2.34)) == "1 row · 2.3 s"
    assert [kind_of(v) for v in (None, 1, 1.0, "ab", b"a")] == [
        "null",
        "integer",
        "real",
        "text, 2 characters",
        "blob, 1 bytes",
    ]
