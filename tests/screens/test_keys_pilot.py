"""Every key of the table, pressed."""

import sqlite3
from pathlib import Path

from textual.widgets import Input, Tabs

from screens.compare import CompareScreen
from screens.help import HelpScreen, table
from screens.keys.table import KEYS, PLACES, bindings
from screens.live import LiveScreen
from screens.new_run import NewRunScreen
from screens.rationales import RationalesScreen
from screens.runs import RunsScreen
from screens.settings import SettingsScreen
from screens.sql import SqlScreen
from screens.teacher import TeacherScreen
from screens.try_it import TryScreen
from screens.votes import VotesScreen
from screens.widgets.log_tail import LogTail
from screens.widgets.run_rows import RunRows
from tests.pilot import console, press, settle, shown, until
from tests.screens.test_orders_pilot import given_orders


def test_the_table_has_an_action_for_every_key_and_help_names_them_all() -> None:
    owners = {
        "runs": RunsScreen,
        "live": LiveScreen,
        "rationales": RationalesScreen,
        "compare": CompareScreen,
        "new": NewRunScreen,
        "sql": SqlScreen,
        "teacher": TeacherScreen,
        "settings": SettingsScreen,
        "try": TryScreen,
        "votes": VotesScreen,
    }
    for key in KEYS:
        name = key.action.split("(")[0]
        if key.place in owners and "." not in name:
            assert hasattr(owners[key.place], f"action_{name}"), key
    text = table("live").plain
    assert all(key.help in text and key.shown in text for key in KEYS)
    assert text.startswith("Live")


def test_no_key_is_bound_twice_in_one_place_nor_taken_by_terminals() -> None:
    for place in PLACES:
        keys = [key for binding in bindings(place) for key in binding.key.split(",")]  # type: ignore[union-attr]
        assert len(keys) == len(set(keys))
        assert not set(keys) & {"ctrl+b", "ctrl+s", "ctrl+h", "ctrl+i", "ctrl+j", "ctrl+m"}


async def test_runs_move_and_open(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        rows = app.screen.query_one(RunRows)
        assert "9" in shown(pilot).splitlines()[0]
        for keys, row in (
            ("j", 1),
            ("down", 2),
            ("k", 1),
            ("up", 0),
            ("G", 8),
            ("g", 0),
            ("pagedown", 8),
            ("pageup", 0),
        ):
            await press(pilot, keys)
            assert rows.cursor_row == row, keys
        await press(pilot, "j")
        assert "run 8" in shown(pilot)
        await press(pilot, "enter")
        assert isinstance(app.screen, LiveScreen)
        assert app.run_id == 8
        assert "arithmetic-qcrd-b" in shown(pilot)


async def test_enter_right_after_a_move_opens_the_run_under_the_cursor(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("j", "j", "enter")
        await settle(pilot)
        assert app.run_id == 7


async def test_from_screen_to_screen_and_back(database: Path) -> None:
    app = console(database, 4)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        assert isinstance(app.screen, LiveScreen)
        await press(pilot, "3")
        assert isinstance(app.screen, RationalesScreen)
        await press(pilot, "2")
        assert isinstance(app.screen, LiveScreen)
        await press(pilot, "3", "escape")
        assert isinstance(app.screen, LiveScreen)
        await press(pilot, "escape")
        assert isinstance(app.screen, RunsScreen)
        assert "run 4" in shown(pilot)  # the cursor is on the run one comes from
        await press(pilot, "2", "1")
        assert isinstance(app.screen, RunsScreen)
        await press(pilot, "escape")
        assert isinstance(app.screen, RunsScreen)


async def test_help_opens_and_closes(database: Path) -> None:
    app = console(database, 4)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        assert "Log scroll" not in shown(pilot)
        assert "Pause the run" in shown(pilot)
        await pilot.press("escape")
        assert isinstance(app.screen, LiveScreen)


async def test_q_quits_and_leaves_no_thread(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("q")
    assert not app.reader_alive


async def test_smooth_and_log_axis_redraw_the_losses(database: Path) -> None:
    app = console(database, 4)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        seen = {shown(pilot)}
        for key in ("s", "y"):
            await press(pilot, key)
            seen.add(shown(pilot))
        assert len(seen) == 3
        await press(pilot, "s", "y")
        assert shown(pilot) in seen


async def test_tabs_on_a_narrow_terminal(database: Path) -> None:
    app = console(database, 4)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        assert app.screen.query_one(Tabs).display
        assert "accuracy" in shown(pilot)
        await press(pilot, "t")
        assert "majority class" in shown(pilot)
        await press(pilot, "t")
        assert "checkpoint saved" in shown(pilot)
        await press(pilot, "t")
        assert "accuracy" in shown(pilot)


async def test_the_log_scrolls(database: Path) -> None:
    con = sqlite3.connect(database)
    con.executemany(
        "INSERT INTO logs (run_id, at, level, stage, message) VALUES (4, ?, 'info', 'train', ?)",
        [(float(i), f"line {i:03d}") for i in range(100)],
    )
    con.commit()
    con.close()
    app = console(database, 4)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await until(pilot, lambda: "line 099" in shown(pilot))
        await press(pilot, "k")
        assert "line 099" not in shown(pilot)
        await press(pilot, "down")
        assert "line 099" in shown(pilot)
        await press(pilot, "g")
        assert "2 000 training" in shown(pilot)
        # what comes in while one reads further up does not move the page
        before = app.screen.query_one(LogTail).region
        con = sqlite3.connect(database)
        con.execute("INSERT INTO logs (run_id, at, level, stage, message) VALUES (4, 1, 'info', '', 'the newest')")
        con.commit()
        con.close()
        log = app.screen.query_one(LogTail)
        await until(pilot, lambda: any(entry.message == "the newest" for entry in log._entries))
        assert "2 000 training" in shown(pilot)
        assert log.region == before
        await press(pilot, "G")
        assert "the newest" in shown(pilot)


async def test_questions_and_visits(database: Path) -> None:
    app = console(database, 8)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        text = shown(pilot)
        assert "question 1/40" in text
        assert "21 of 21" in text
        assert "▶ self, it 26" in text
        assert "parts company here" in text
        assert "silent: 3.48 > 3" in text
        assert "teacher ×2" in text
        assert "gold 11 · vote 11 (4 of 5) ✓ · student now 11 ✓ step 1 200 · 1 unparsed" in text
        await press(pilot, "left_square_bracket")
        assert "20 of 21" in shown(pilot)
        await press(pilot, *["left_square_bracket"] * 3)
        assert "17 of 21" in shown(pilot)
        assert "student then 11 ✓ step 1 000" in shown(pilot)
        assert "1 of other iterations" not in shown(pilot).split("negatives")[0]
        await press(pilot, *["right_square_bracket"] * 9)
        assert "21 of 21" in shown(pilot)
        await press(pilot, "J", "J")
        assert "question 3/40" in shown(pilot)
        await press(pilot, "K")
        assert "question 2/40" in shown(pilot)
        await press(pilot, "G")
        assert "question 40/40" in shown(pilot)
        assert "not followed" in shown(pilot)
        await press(pilot, "J")
        assert "question 40/40" in shown(pilot)
        await press(pilot, "f")
        await until(pilot, lambda: "question 1/40" in shown(pilot))
        await press(pilot, "f")
        await until(pilot, lambda: "question 2/40" in shown(pilot))
        await press(pilot, "g", "K")
        assert "question 1/40" in shown(pilot)


async def test_search_goes_to_the_next_match(database: Path) -> None:
    app = console(database, 8)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        await pilot.press("slash")
        field = app.screen.query_one("#search", Input)
        assert field.has_focus
        await pilot.press(*"train-0031", "enter")
        await until(pilot, lambda: "question 32/40" in shown(pilot))
        await pilot.press("slash")
        field.value = "no such words"
        await pilot.press("enter")
        await until(pilot, lambda: "no question or rationale holds" in shown(pilot))
        assert "question 32/40" in shown(pilot)
        await pilot.press("slash")
        field.value = "BEGIN 7"
        await pilot.press("enter")
        await until(pilot, lambda: "question 1/40" in shown(pilot))
        await press(pilot, "n")
        await until(pilot, lambda: "question 1/40" not in shown(pilot))
        await pilot.press("slash")
        await pilot.press("escape")
        assert not field.has_class("-shown")
        assert isinstance(app.screen, RationalesScreen)


async def test_wrap_maximise_and_scroll(database: Path) -> None:
    app = console(database, 8)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        wrapped = shown(pilot)
        await press(pilot, "w")
        await until(pilot, lambda: shown(pilot) != wrapped)
        await press(pilot, "w")
        await until(pilot, lambda: shown(pilot) == wrapped)
        await press(pilot, "tab", "z")
        assert app.screen.maximized is not None
        assert app.screen.maximized.id == "negatives"
        await press(pilot, "z")
        assert app.screen.maximized is None
        await press(pilot, "z", "escape")
        assert app.screen.maximized is None
        assert isinstance(app.screen, RationalesScreen)
        pane = app.screen.query_one("#negatives")
        await press(pilot, "j", "j")
        assert pane.scroll_offset.y == 2
        await press(pilot, "k")
        assert pane.scroll_offset.y == 1


async def test_the_palette_offers_the_tables_commands(database: Path) -> None:
    app = console(database, 8)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        titles = {command.title: command for command in app.get_system_commands(app.screen)}
        assert {key.help for key in KEYS if key.place in ("live", "all")} <= titles.keys()
        assert "Theme: light" in titles
        await titles["Save a checkpoint now"].callback()
        await until(pilot, lambda: given_orders(database) == [(8, "checkpoint")])
        await titles["The run's rationales, positive beside negative"].callback()
        await settle(pilot)
        assert isinstance(app.screen, RationalesScreen)


async def test_a_run_opened_at_once_after_the_cursor_moved_is_the_one_under_it(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app.screen.query_one(RunRows).move_cursor(row=3)
        app.action_go("live")  # before the table's own message
        assert app.run_id == 6
        await settle(pilot)


async def test_without_gold_answers_agreement_with_the_vote_is_drawn(database: Path) -> None:
    con = sqlite3.connect(database)
    con.executescript("UPDATE series SET name = replace(name, 'accuracy/', 'agreement/'); DELETE FROM scores")
    con.close()
    app = console(database, 4)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "agreement with the vote e 0.64 p 0.36" in shown(pilot)
        assert "accuracy" not in shown(pilot)


async def test_control_c_leaves(database: Path) -> None:
    app = console(database, 4)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("x", "ctrl+c")
        await until(pilot, lambda: not app.is_running or app._exit)
