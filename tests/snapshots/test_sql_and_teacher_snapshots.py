"""The SQL and Teacher screens in their main states, as SVG."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from screens import sql
from screens.widgets.sql_editor import SqlEditor
from tests.pilot import console, press, settle, until
from tests.seeded_ledger import ledger

SIZES = [(120, 40), pytest.param((80, 24), marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def bought(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The seeded database with its ledger."""
    return ledger(Path(shutil.copy(seeded, tmp_path_factory.mktemp("bought") / "experiments.db")))


@pytest.fixture(autouse=True)
def _same_queries_and_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    told = sql.told
    monkeypatch.setattr("screens.sql.told", lambda found: told(replace(found, seconds=0.012)))


@pytest.mark.parametrize("size", SIZES)
def test_sql(snap_compare: Callable[..., bool], bought: Path, size: tuple[int, int]) -> None:
    async def drive(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await press(pilot, "5")
        screen = pilot.app.screen
        assert isinstance(screen, sql.SqlScreen)
        query = "-- pairs\nSELECT step, example, 'a' AS a, NULL AS b, negative\nFROM rationale_pairs WHERE run_id = 8"
        screen.query_one(SqlEditor).put(query)
        await pilot.press("f5")
        await until(pilot, lambda: screen._job is None)
        await press(pilot, "l", "l", "l", "l", "j", "e", "space", "o")

    assert snap_compare(console(bought), terminal_size=size, run_before=drive)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("keys", [(), ("a", "j", "j", "j", "enter")], ids=["run", "whole"])
def test_teacher(snap_compare: Callable[..., bool], bought: Path, size: tuple[int, int], keys: tuple[str, ...]) -> None:
    async def drive(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await press(pilot, "6", *keys)

    assert snap_compare(console(bought, 8), terminal_size=size, run_before=drive)
