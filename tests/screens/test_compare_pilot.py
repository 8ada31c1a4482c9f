"""The compare screen, driven."""

import sqlite3
from pathlib import Path

from textual.widgets import Tabs

from screens.base import Compare
from screens.compare import CompareScreen
from screens.widgets.pick_list import PickList
from tests.pilot import console, press, settle, shown


async def test_without_chosen_runs_it_says_how_to_choose(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "4")
        assert "Choose two to eight runs" in shown(pilot)
        await press(pilot, "escape")
        assert "Runs · 9" in shown(pilot)


async def test_every_key_at_a_wide_terminal(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(160, 45)) as pilot:
        await settle(pilot)
        app.post_message(Compare((2, 3, 4)))
        await pilot.pause()
        await settle(pilot)
        view = app.screen
        assert isinstance(view, CompareScreen)
        text = shown(pilot)
        assert "accuracy/explain" in text
        assert "explain: they disagree on 19 of 20" in text
        assert "+0.25 (" in text  # run 4 is right on 13 of 20, run 2 on 8
        assert "method.name" in text
        assert "the answer is" in text
        before = [line for line in text.splitlines() if "gold" in line]
        questions = view.query_one(PickList)
        await press(pilot, "j")
        assert questions.cursor == 1
        assert [line for line in shown(pilot).splitlines() if "gold" in line] != before
        for key, at in (("k", 0), ("G", 18), ("g", 0), ("down", 1), ("up", 0), ("pagedown", 18), ("pageup", 0)):
            await press(pilot, key)
            assert questions.cursor == at, key
        assert "b arithmetic-positives" in shown(pilot)
        await press(pilot, "l")
        assert "c arithmetic-qcrd" in shown(pilot)
        for key in ("right", "left", "h"):
            await press(pilot, key)
        assert "b arithmetic-positives" in shown(pilot)
        await press(pilot, "e")
        assert "predict: they disagree on 0 of 20" in shown(pilot)
        await press(pilot, "m")
        assert "accuracy/predict" in shown(pilot)
        await press(pilot, "M", "s", "y")
        assert "accuracy/explain" in shown(pilot)
        assert (view.kept.smooth, view.kept.log_y) == (False, True)


async def test_narrow_it_has_tabs_and_hostile_names_do_nothing(database: Path) -> None:
    con = sqlite3.connect(database)
    con.execute("UPDATE runs SET name = '[/][@click=app.quit]x\x1b]52;c;eA==\x07' WHERE id = 3")
    con.execute("UPDATE examples SET question = '[/foo]\x1b[2Jhow many?' WHERE key = 'test-0000'")
    con.commit()
    con.close()
    app = console(database)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.post_message(Compare((2, 3)))
        await pilot.pause()
        await settle(pilot)
        assert app.screen.query_one(Tabs).display
        await press(pilot, "t")
        assert "[@click=app.quit]x" in shown(pilot)
        await press(pilot, "t")
        text = shown(pilot)
        assert "[/foo]" in text
        assert "\x1b" not in text
        await press(pilot, "t")
