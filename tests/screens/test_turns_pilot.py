"""Keys that arrive together go where they would if they came one at a time."""

from pathlib import Path

import pytest
from textual.events import Key, Paste
from textual.widgets import Input

from app import turns
from app.console import Console
from screens.live import LiveScreen
from screens.new_run import NewRunScreen
from screens.widgets.pick_list import PickList
from tests.pilot import console, settle, until


def at_once(app: Console, *keys: str) -> None:
    for key in keys:
        app.post_message(Key(key, key if len(key) == 1 else None))


async def test_what_is_typed_ahead_of_a_field_is_in_the_field_and_not_in_the_list_behind_it(
    database: Path,
) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        # open the form, its first key's field, type a name of keys that do something in the list, take it, go on down
        at_once(app, "n", "enter")
        app.post_message(Paste("dwRQ"))
        at_once(app, "d", "w", "enter", "j", "j")
        await until(pilot, lambda: [fields.cursor for fields in app.screen.query(PickList)] == [2])
        form = app.screen
        assert isinstance(form, NewRunScreen)
        assert form._given == {"name": '"dwRQdw"'}
        assert not form.query_one(Input).has_class("-shown")


async def test_a_filter_typed_ahead_is_whole_and_keys_behind_it_are_for_the_list(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        at_once(app, "slash", *"dss", "enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen))
        await settle(pilot)
        assert app._runs.kept.where == "dss"


async def test_a_key_whose_widget_was_taken_away_holds_no_other_up(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.05)
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app._turns.may_go(Key("x", "x"))  # nothing comes up behind it
        at_once(app, "j", "j")
        await until(pilot, lambda: app._runs.rows.cursor_row == 2)
