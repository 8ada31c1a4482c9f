"""What is typed below the list of runs: what is offered, and which runs it is for."""

from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.store.runs.marks import set_archived
from screens.widgets.prompt import Prompt
from screens.widgets.run_rows import RunRows
from tests.pilot import console, press, settle, shown, until
from tests.screens.test_runs_pilot import ask, listed, screen


async def opened(pilot: Pilot[None], key: str) -> None:
    """The prompt of that key, which knows what there is in the database."""
    await pilot.press(key)
    await until(pilot, lambda: bool(screen(pilot).query_one(Prompt).words.keys))


async def test_tab_completes_a_filter(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await opened(pilot, "slash")
        await pilot.press(*"met", "tab")
        assert screen(pilot).query_one("Prompt Field").value == "method"  # type: ignore[attr-defined]
        await pilot.press("equals_sign", "tab", "tab")
        await until(pilot, lambda: "finetune" in shown(pilot).splitlines()[-3])
        assert screen(pilot).query_one("Prompt Field").value.startswith("method=")  # type: ignore[attr-defined]
        await pilot.press("shift+tab", "enter")
        await settle(pilot)
        assert listed(pilot) == [9, 8, 7, 6, 5, 4]


async def test_tab_completes_a_column_or_a_setting_and_nothing_else_that_a_filter_knows(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await opened(pilot, "S")
        await pilot.press(*"archi", "tab")
        field = screen(pilot).query_one("Prompt Field")
        assert field.value == "archi"  # type: ignore[attr-defined]
        field.value = "delt"  # type: ignore[attr-defined]
        await pilot.press("tab", "enter")
        await settle(pilot)
        assert screen(pilot).kept.sort == "method.loss.delta"


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("N", "SELECT run_id FROM run_marks WHERE note = 'odd'"),
        ("t", "SELECT run_id FROM run_tags WHERE tag = 'odd'"),
    ],
)
async def test_what_is_typed_is_for_the_run_that_was_asked_about(database: Path, key: str, written: str) -> None:
    """Not for the row that was clicked while it was typed."""
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert screen(pilot).selected == 9
        await press(pilot, key)
        await pilot.click(RunRows, offset=(4, 3))
        await until(pilot, lambda: screen(pilot).selected not in (9, None))
        field = app.screen.query_one("Prompt Field")
        field.focus()
        field.value = "odd"  # type: ignore[attr-defined]
        await press(pilot, "enter")
        await until(pilot, lambda: ask(database, written) == [(9,)])


async def test_a_run_that_leaves_the_list_while_its_tags_are_typed_gets_them(database: Path) -> None:
    app = console(database)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "t")
        set_archived(database, (9,), True)
        await until(pilot, lambda: 9 not in listed(pilot))
        app.screen.query_one("Prompt Field").value = "odd"  # type: ignore[attr-defined]
        await press(pilot, "enter", "y")
        await until(pilot, lambda: ask(database, "SELECT run_id FROM run_tags WHERE tag = 'odd'") == [(9,)])
        assert app.clipboard.startswith("qcrd tag 9 --add odd")
