"""Keys that arrive together go where they would if they came one at a time."""

from pathlib import Path

import pytest
from textual.events import Key, Paste
from textual.message import Message
from textual.widgets import Input

from app import turns
from app.console import Console
from app.settings import remember
from screens.live import LiveScreen
from screens.new_run import NewRunScreen
from screens.remembered.kept import Kept, LastKept
from screens.runs import RunsScreen
from screens.widgets.pick_list import PickList
from tests.pilot import console, settle, until
from tests.seeded import NOW


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


@pytest.mark.parametrize(("keys", "run_id"), [(("enter",), 3), (("3",), 3), (("j", "enter"), 2)])
async def test_keys_before_the_remembered_run_has_its_row_are_for_that_run(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...], run_id: int
) -> None:
    monkeypatch.setattr("screens.runs.NEWEST", 2)
    settings = tmp_path / "settings.toml"
    remember(None, settings, Kept(last=LastKept("runs", 3, str(database))), "last")
    app = Console(database, clock=lambda: NOW, settings=settings)
    async with app.run_test(size=(120, 40)) as pilot:
        at_once(app, *keys)  # before anything was read
        await until(pilot, lambda: not isinstance(app.screen, RunsScreen))
        await settle(pilot)
        assert app.run_id == run_id


async def test_a_key_that_was_called_waits_where_what_it_is_for_is_not_there_after_all(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        keys, first, second = turns.Turns(app), Key("1", "1"), Key("3", "3")
        called = []
        app.post_message = called.append  # type: ignore[method-assign,assignment]
        assert keys.may_go(first)
        assert not keys.may_go(second)
        keys._next()  # the first was acted on, and led to the list
        assert called == [second]
        keys.hold(second)
        assert not keys.may_go(second)
        keys.release()
        assert called == [second, second]
        assert keys.may_go(second)
        del app.post_message  # type: ignore[method-assign]


async def test_keys_wait_once_for_a_run_that_does_not_come(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.05)
    monkeypatch.setattr(RunsScreen, "awaits", True)
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        at_once(app, "j", "j")
        await until(pilot, lambda: app._runs.rows.cursor_row == 2)


@pytest.mark.parametrize("typed", [("ctrl+q",), ("j", "slash", "x", "ctrl+q"), ("q",), ("ctrl+c",)])
@pytest.mark.parametrize("opened", [True, False])
async def test_the_console_is_left_without_waiting_for_the_remembered_run(
    database: Path, monkeypatch: pytest.MonkeyPatch, typed: tuple[str, ...], opened: bool
) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 600)
    monkeypatch.setattr(RunsScreen, "awaits", True)
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        if opened:
            await settle(pilot)
        at_once(app, *typed)
        await until(pilot, lambda: app._exit)


async def test_a_key_mapped_to_quit_waits_for_no_run_and_stays_behind_those_that_do(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 600)
    settings = tmp_path / "settings.toml"
    remember(None, settings, Kept(keys={"all.quit": "Z"}), "keys")
    app = Console(database, clock=lambda: NOW, settings=settings)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        with monkeypatch.context() as patched:
            patched.setattr(RunsScreen, "awaits", True)
            at_once(app, "slash", "Z")  # it may be for the field that opens
            await until(pilot, lambda: len(app._turns._waiting) == 2)
        app._turns.release()
        await until(pilot, lambda: [field.value for field in app.screen.query(Input)] == ["Z"])
        await pilot.press("escape")
        monkeypatch.setattr(RunsScreen, "awaits", True)
        at_once(app, "Z")
        await until(pilot, lambda: app._exit)


async def test_keys_that_are_let_go_before_the_last_ones_word_came_up_keep_their_order(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        keys, posted, acted = turns.Turns(app), [], []
        words: list[turns.Handled] = []

        def post(message: Message) -> bool:
            (words if isinstance(message, turns.Handled) else posted).append(message)
            return True

        with monkeypatch.context() as patched:
            patched.setattr(app, "post_message", post)
            patched.setattr(app.screen, "post_message", post)
            if app.focused is not None:
                patched.setattr(app.focused, "post_message", post)
            assert keys.may_go(Key("a", "a"))
            keys.follow()
            keys.hold(Key("b", "b"))  # it led to a list whose row is still to come
            assert not keys.may_go(Key("b", "b"))
            assert not keys.may_go(Key("c", "c"))
            keys.release()
            while words or posted:
                while words:
                    keys.came(words.pop(0))
                if posted and keys.may_go(posted[0]):
                    acted.append(posted[0].key)
                    keys.follow()
                del posted[:1]
        assert acted == ["b", "c"]
