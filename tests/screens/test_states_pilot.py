"""States that nobody wants: an old database, another file in its place, no room for settings, a shrinking terminal."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from engine.store.schema.tables import SCHEMA_VERSION
from screens.remembered.kept import RunsKept
from tests.pilot import console, press, settle, shown, until
from tests.screens.test_hostile_pilot import VISITS

SIZES = ((20, 5), (120, 40))
ASKING = {
    "help": (("question_mark",), ("escape",)),
    "confirm": (("j", "x"), ("n",)),
    "palette": (("ctrl+p",), ("escape",)),
    "filter": (("slash",), ("escape",)),
    "sort": (("S",), ("escape",)),
    "form": (("n",), ("escape",)),
    "field": (("n", "enter"), ("escape", "escape")),
    "ask": (("5", *"SELECT", "escape", "f4"), ("escape", "escape", "1")),
    "questions": (("3", "F"), ("escape", "1")),
}
"""What asks something: the keys that bring it up from the list of runs, and those that lead back."""


def version(database: Path, number: int) -> None:
    con = sqlite3.connect(database)
    con.execute(f"PRAGMA user_version = {number}")
    con.close()


async def test_a_database_that_is_being_upgraded_is_shown_once_it_is(database: Path) -> None:
    version(database, SCHEMA_VERSION - 1)
    app = console(database)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await until(pilot, lambda: "older than this qcrd" in " ".join(shown(pilot).split()))
        assert "No run yet" not in shown(pilot)  # there are some, which cannot be read
        assert "no runs could be read" in shown(pilot)
        version(database, SCHEMA_VERSION)
        await until(pilot, lambda: "arithmetic-mean" in shown(pilot))
        await until(pilot, lambda: "older than" not in shown(pilot) and "could be read" not in shown(pilot))


async def test_another_database_in_its_place_is_read_from_its_beginning(database: Path, tmp_path: Path) -> None:
    other = Path(shutil.copy(database, tmp_path / "other.db"))
    con = sqlite3.connect(other)
    con.execute("DELETE FROM runs WHERE id > 3")
    con.execute("UPDATE runs SET name = 'another one' WHERE id = 3")
    con.commit()
    con.close()
    app = console(database, 4)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        other.replace(database)
        await until(pilot, lambda: "there is no run 4" in shown(pilot))
        await press(pilot, "1")
        await until(pilot, lambda: "another one" in shown(pilot))
        assert "arithmetic-qcrd-b" not in shown(pilot)
        await press(pilot, "3")
        assert app.run_id == 3


async def test_settings_that_cannot_be_written_are_said_and_last_until_the_end(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, *_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    app = console(database)
    app._settings = tmp_path / "console.json"
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_text", full)
            await press(pilot, "A")
            await until(pilot, lambda: "No space left on device" in shown(pilot))
        assert app._kept.runs == RunsKept(archived=True)
        assert not (tmp_path / "console.json").exists()


async def test_a_terminal_that_changes_its_size_while_something_asks(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for name, (keys, leave) in ASKING.items():
            await pilot.press(*keys)
            await pilot.pause()
            asking, focused = app.screen, app.focused
            for width, height in SIZES:
                await pilot.resize_terminal(width, height)
                assert (app.screen, app.focused) == (asking, focused), name
                assert shown(pilot).strip() or height < 5, name
            await pilot.press(*leave)
            await settle(pilot)
            assert app.screen is app._places.made["runs"], name
            assert "arithmetic-qcrd-b" in shown(pilot), name


@pytest.mark.slow
async def test_every_place_stands_a_terminal_of_twenty_by_five(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(20, 5)) as pilot:
        await settle(pilot)
        for place, keys in VISITS.items():
            for key in keys:
                await pilot.press(key)
            await settle(pilot)
            assert shown(pilot).strip(), place
        await pilot.press("1")
        await pilot.resize_terminal(120, 40)
        await settle(pilot)
        assert "arithmetic-qcrd-b" in shown(pilot)
