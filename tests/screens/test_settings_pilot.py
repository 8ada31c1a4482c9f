"""F2, themes, other keys, what is remembered, the palette."""

import json
import sqlite3
from pathlib import Path

import pytest
from textual.widgets import Tabs

from app.console import Console
from app.settings import load_kept, save_kept
from screens.base import Compare
from screens.compare import CompareScreen
from screens.help import HelpScreen, table
from screens.keys.table import KEYS, hold_to
from screens.live import LiveScreen
from screens.rationales import RationalesScreen
from screens.remembered.kept import Kept, LiveKept, LookKept, RationalesKept
from screens.settings import SettingsScreen
from screens.sql import SqlScreen
from screens.widgets.grid import Grid
from screens.widgets.pick_list import PickList
from screens.widgets.sql_editor import SqlEditor
from tests.pilot import console, press, settle, shown, until
from tests.seeded import NOW


def with_settings(database: Path, path: Path, run_id: int | None = None) -> Console:
    return Console(database, run_id, clock=lambda: NOW, settings=path)


def under(app: Console) -> str:
    row = app.screen.query_one(PickList).row
    assert row is not None
    return str(row.name)


async def test_every_key_of_the_settings(database: Path, tmp_path: Path) -> None:
    path = tmp_path / "console.json"
    app = with_settings(database, path, 8)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("f2")
        assert isinstance(app.screen, SettingsScreen)
        assert str(path) in shown(pilot).replace("\n", "")
        await pilot.press("enter")
        await until(pilot, lambda: app.theme == "light")
        await until(pilot, lambda: path.is_file() and load_kept(path)[0].look.theme == "light")
        await pilot.press("j", "j", "j")
        assert under(app) == "live.smooth"
        await pilot.press("space")
        await until(pilot, lambda: not app.screen_stack[-2].query_one("#loss")._lens.smooth)  # type: ignore[attr-defined]
        await pilot.press("d")
        await until(pilot, lambda: load_kept(path)[0].live == LiveKept())
        await pilot.press("k", "G")
        assert under(app).startswith("keys.settings")
        await pilot.press("pageup", "pagedown", "g")
        assert under(app) == "theme"
        await pilot.press("escape")
        assert isinstance(app.screen, LiveScreen)


async def test_texts_name_keys_as_they_are_mapped(database: Path, tmp_path: Path) -> None:
    path = tmp_path / "console.json"
    other = {"runs.choose": "f5", "runs.compare": "f6", "live.ask": "f8", "live.export": "f9"}
    other |= {"runs.open": "f11", "runs.new": "f12", "sql.run": "f7", "sql.saved": "f10", "teacher.run-or-all": "f8"}
    save_kept(path, Kept(keys={**other, "all.runs": "0", "live.all": "Z", "try.vote": "f4"}))
    app = with_settings(database, path, 4)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "F8 asks its student questions, F9 exports it" in shown(pilot)
        await press(pilot, "6")
        assert "F8 all runs" in shown(pilot)
        await press(pilot, "5")
        assert "F7 asks the database" in shown(pilot)
        assert "F10 saved queries" in shown(pilot)
        await press(pilot, "escape", "4")
        assert "in the list (0): F5 marks one, F6 compares them" in shown(pilot)
        await pilot.press("question_mark")
        assert "At which temperature F4 draws" in "".join(str(part) for part in table("try", app._keys))
    save_kept(path, Kept(keys=other))  # and not where it was left
    app = with_settings(tmp_path / "none.db", path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "F11    starts the built-in" in shown(pilot) and "F12    a run of" in shown(pilot))
    hold_to(KEYS)


async def test_another_key_is_taken_shown_and_remembered_and_a_clash_is_refused(database: Path, tmp_path: Path) -> None:
    path = tmp_path / "console.json"
    app = with_settings(database, path, 8)
    async with app.run_test(size=(160, 45)) as pilot:
        await settle(pilot)
        await pilot.press("f2")
        rows = app.screen.query_one(PickList)
        rows.move(next(i for i, row in enumerate(rows.rows) if row.name == "keys.live.smooth"))
        await pilot.press("enter", "x")
        await until(pilot, lambda: "live.smooth: x is live.stop already; s stands" in shown(pilot))
        await pilot.press("enter", "escape")
        await pilot.press("enter", "f6")
        await until(pilot, lambda: load_kept(path)[0].keys == {"live.smooth": "f6"})
        await pilot.press("escape")
        await until(pilot, lambda: "F6 smooth" in shown(pilot))
        view = app.screen
        assert isinstance(view, LiveScreen)
        await press(pilot, "s")
        assert view.kept.smooth
        await press(pilot, "f6")
        assert not view.kept.smooth
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        assert "F6" in shown(pilot)


async def test_how_screens_were_left_is_how_they_begin(database: Path, tmp_path: Path) -> None:
    path = tmp_path / "console.json"
    app = with_settings(database, path, 8)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "y", "s", "v", "X", "t", "3", "w", "d")
        await until(pilot, lambda: load_kept(path)[0].rationales == RationalesKept(wrap=False, difference=False))
        await until(pilot, lambda: load_kept(path)[0].last.place == "rationales")
    assert load_kept(path)[0].live == LiveKept("stages", smooth=False, log_y=True, across="epoch", second=True)
    app = with_settings(database, path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert isinstance(app.screen, RationalesScreen)
        assert app.run_id == 8
        await press(pilot, "2")
        assert app.screen.query_one(Tabs).active == "show-stages"
        assert isinstance(app.screen, LiveScreen)
        assert app.screen._lens.log_y


async def test_what_was_compared_comes_back_with_its_runs_that_are_still_there(database: Path, tmp_path: Path) -> None:
    path = tmp_path / "console.json"
    app = with_settings(database, path)
    async with app.run_test(size=(160, 45)) as pilot:
        await settle(pilot)
        app.post_message(Compare((2, 3, 4)))
        await until(pilot, lambda: load_kept(path)[0].last.compared == (2, 3, 4))
    con = sqlite3.connect(database)
    con.execute("DELETE FROM runs WHERE id = 3")
    con.commit()
    con.close()
    app = with_settings(database, path)
    async with app.run_test(size=(160, 45)) as pilot:
        await settle(pilot)
        view = app.screen
        assert isinstance(view, CompareScreen)
        assert "a arithmetic-dss" in shown(pilot)
        assert "b arithmetic-qcrd" in shown(pilot)
        assert view.blanks()["RUNS"] == "2 4"
        await press(pilot, "1", "5")
        await until(pilot, lambda: load_kept(path)[0].last.place == "sql")
    app = with_settings(database, path, 8)  # it is remembered where another screen was in front, or is asked for
    async with app.run_test(size=(160, 45)) as pilot:
        await settle(pilot)
        await press(pilot, "4")
        assert "b arithmetic-qcrd" in shown(pilot)


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ({"compared": [2, 3], "database": "/elsewhere.db"}, False),
        ({"compared": [98, 99]}, True),  # another file is there by now
    ],
)
async def test_where_none_of_the_compared_runs_is_there_it_says_how_to_choose(
    database: Path, tmp_path: Path, last: dict[str, object], told: bool
) -> None:
    path = tmp_path / "console.json"
    path.write_text(json.dumps({"last": {"place": "compare", "database": str(database), **last}}))
    app = with_settings(database, path)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert isinstance(app.screen, CompareScreen)
        assert "Choose two to eight runs" in shown(pilot)
        assert ("these runs are not in this database" in shown(pilot)) == told
        assert app.screen.blanks() == {}


async def test_more_runs_than_fit_beside_each_other_are_left_out(database: Path, tmp_path: Path) -> None:
    path = tmp_path / "console.json"
    last = {"place": "compare", "database": str(database), "compared": [1, 1, *range(1, 10)]}
    path.write_text(json.dumps({"last": last}))
    app = with_settings(database, path)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert isinstance(app.screen, CompareScreen)
        assert app.screen.run_ids == tuple(range(1, 9))


async def test_another_database_begins_with_its_list_and_sql_is_of_any(database: Path, tmp_path: Path) -> None:
    path = tmp_path / "console.json"
    path.write_text(json.dumps({"last": {"place": "live", "run": 8, "database": "/elsewhere.db"}}))
    app = with_settings(database, path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert app.screen is app.get_screen("runs")
    path.write_text(json.dumps({"last": {"place": "sql", "run": 8, "database": "/elsewhere.db"}}))
    app = with_settings(database, path)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert isinstance(app.screen, SqlScreen)


async def test_the_terminals_own_colours_are_sixteen(database: Path, tmp_path: Path) -> None:
    path = tmp_path / "console.json"
    save_kept(path, Kept(look=LookKept(theme="ansi")))
    app = with_settings(database, path, 8)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert app.theme == "ansi"
        for strip in app.screen._compositor.render_strips(app.size):
            for segment in strip:
                for colour in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                    assert colour is None or colour.triplet is None, segment


async def test_no_colour_is_none_at_all(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for place in ("runs", "live", "rationales", "sql", "teacher"):
            app.action_go(place)
            await settle(pilot)
            for strip in app.screen._compositor.render_strips(app.size):
                for segment in strip.apply_filter(app.get_line_filters()[-1], app.screen.background_colors[1]):
                    style = segment.style
                    assert style is None or style.color is None or style.color.is_default
                    assert style is None or style.bgcolor is None or style.bgcolor.is_default


async def test_the_palette_has_each_key_of_the_screen_and_its_command_line(database: Path) -> None:
    app = console(database, 8)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        offered = {command.title: command for command in app.get_system_commands(app.screen)}
        assert offered["Pause the run, or let a paused one go on"].help.startswith("p ")
        assert f"copy: qcrd stop 8 --db {database}" in offered
        assert f"copy: qcrd rationales 8 --db {database}" in offered
        assert "All of the curves, no mark" in offered
        offered[f"copy: qcrd pause 8 --db {database}"].callback()
        assert app.clipboard == f"qcrd pause 8 --db {database}"
        before = app.screen
        assert isinstance(before, LiveScreen)
        await offered["Logarithmic axis for the losses"].callback()
        assert before.kept.log_y
        await press(pilot, "1", "space", "space")
        offered = {command.title: command for command in app.get_system_commands(app.screen)}
        assert any(title.startswith("copy: qcrd stop 8 --db") and "&& qcrd stop 7" in title for title in offered)
        assert any(title.startswith("copy: qcrd star 8 7 --db") for title in offered)


async def test_the_mouse_chooses_sorts_and_picks(database: Path) -> None:
    app = console(database, 8)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        view = app.screen
        assert isinstance(view, RationalesScreen)
        await pilot.click("#negatives", offset=(5, 7))
        await settle(pilot)
        assert view.focused is view.query_one("#negatives")
        target = view._target()
        assert target is not None
        assert "teacher minority" in target.name
        app.post_message(Compare((2, 3, 4)))
        await pilot.pause()
        await settle(pilot)
        questions = app.screen.query_one(PickList)
        await pilot.click("#questions", offset=(5, 4))
        await settle(pilot)
        assert questions.cursor == 3
        await press(pilot, "5")
        app.screen.query_one(SqlEditor).put("SELECT id, name FROM run_summary WHERE id < 4 ORDER BY id DESC")
        await pilot.press("f5")
        grid = app.screen.query_one(Grid)
        await until(pilot, lambda: len(grid.rows) == 3)
        await pilot.pause()
        await pilot.click("#grid", offset=(1, 0))
        await until(pilot, lambda: [row[0] for row in grid.rows] == [1, 2, 3])
        await pilot.press("s")
        await until(pilot, lambda: [row[0] for row in grid.rows] == [3, 2, 1])
        assert "▼" in shown(pilot)
