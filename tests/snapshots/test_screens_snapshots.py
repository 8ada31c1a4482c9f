"""Every screen in its main states, as SVG: `pytest tests/snapshots --snapshot-update` after a look at the report."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from engine.store.rationales.notes import remark
from screens.base import Compare
from screens.runs import RunsScreen
from screens.widgets.prompt import Prompt
from tests.pilot import console, press, settle, shown, until

STATES = {
    "runs": (None, ()),
    "runs-failed": (None, ("j", "j", "j", "j")),
    "runs-tree": (None, ("b", *"dataset", "enter", "j", "j", "space", "space")),
    "live-running": (8, ()),
    "live-done": (4, ()),
    "live-failed": (5, ()),
    "live-stale": (6, ()),
    "live-queued": (9, ()),
    "live-dss": (2, ()),
    "live-log-raw": (4, ("y", "s")),
    "live-stop": (8, ("x",)),
    "rationales": (8, ("3",)),
    "rationales-earlier": (8, ("3", "left_square_bracket", "left_square_bracket")),
    "rationales-no-negative": (8, ("3", "J", "J")),
    "rationales-not-followed": (4, ("3", "G")),
    "rationales-none": (1, ("3",)),
    "help": (8, ("question_mark",)),
}


def check(snap_compare: Callable[..., bool], database: Path, state: str, size: tuple[int, int]) -> None:
    run_id, keys = STATES[state]

    async def drive(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await press(pilot, *keys)

    assert snap_compare(console(database, run_id), terminal_size=size, run_before=drive)


@pytest.mark.parametrize("state", STATES)
def test_at_120_columns(snap_compare: Callable[..., bool], seeded: Path, state: str) -> None:
    check(snap_compare, seeded, state, (120, 40))


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
def test_at_80_columns(snap_compare: Callable[..., bool], seeded: Path, state: str) -> None:
    check(snap_compare, seeded, state, (80, 24))


async def filtering(pilot: Pilot[None]) -> None:
    await settle(pilot)
    await pilot.press("slash")
    view = pilot.app.screen
    assert isinstance(view, RunsScreen)
    await until(pilot, lambda: bool(view.query_one(Prompt).words.keys))
    await pilot.press(*"acc>0.4 method", "equals_sign")
    await pilot.pause()


def test_filtering(snap_compare: Callable[..., bool], seeded: Path) -> None:
    assert snap_compare(console(seeded), terminal_size=(80, 24), run_before=filtering)


async def compared(pilot: Pilot[None]) -> None:
    await settle(pilot)
    pilot.app.post_message(Compare((2, 3, 4)))
    await pilot.pause()
    await settle(pilot)


def test_compare(snap_compare: Callable[..., bool], seeded: Path) -> None:
    assert snap_compare(console(seeded), terminal_size=(120, 40), run_before=compared)


@pytest.mark.slow
def test_compare_at_80_columns(snap_compare: Callable[..., bool], seeded: Path) -> None:
    assert snap_compare(console(seeded), terminal_size=(80, 24), run_before=compared)


@pytest.mark.slow
@pytest.mark.parametrize("keys", [("t",), ("t", "t")], ids=["stages", "log"])
def test_tabs_at_80_columns(snap_compare: Callable[..., bool], seeded: Path, keys: tuple[str, ...]) -> None:
    async def drive(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await press(pilot, *keys)

    assert snap_compare(console(seeded, 8), terminal_size=(80, 24), run_before=drive)


def test_rationales_filtered_found_and_remarked(
    snap_compare: Callable[..., bool], seeded: Path, tmp_path: Path
) -> None:
    database = Path(shutil.copy(seeded, tmp_path / "experiments.db"))
    remark(database, 8, "train-0004", flagged=True, note="the slip is in the second step")
    con = sqlite3.connect(database)
    here = "WHERE run_id = 8 AND example = 'train-0004' AND"
    con.execute(f"UPDATE rationales SET polarity = 'dropped', reason = 'near duplicate' {here} slot = 2")
    of = f"SELECT number FROM rationales {here} source ="
    con.execute(f"UPDATE visits SET chosen = 0, active = 0, weight = 0 {here} number = ({of} 'self')")
    con.execute(f"UPDATE visits SET chosen = 1, active = cross_entropy < 3 {here} number = ({of} 'minority')")
    con.commit()
    con.close()

    async def drive(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await press(pilot, "3")
        for key, text in (("F", "flagged polarity=negative"), ("slash", "plus 1")):
            await pilot.press(key)
            pilot.app.screen.query_one("#search", Input).value = text
            await pilot.press("enter")
            await until(pilot, lambda: "question 5/40" in shown(pilot))
        await until(pilot, lambda: "match 1 of 1" in shown(pilot))
        await press(pilot, "l", "right_curly_bracket")

    assert snap_compare(console(database, 8), terminal_size=(120, 40), run_before=drive)
