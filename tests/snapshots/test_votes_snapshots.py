"""The votes screen in its main state, as SVG."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.pilot import console, press, settle
from tests.seeded_votes import votes


@pytest.mark.parametrize("size", [(120, 40), pytest.param((80, 24), marks=pytest.mark.slow)])
def test_votes(snap_compare: Callable[..., bool], seeded: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    database = votes(Path(shutil.copy(seeded, tmp_path / "experiments.db")))

    async def drive(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await press(pilot, "e", "j", "v")

    assert snap_compare(console(database, 4), terminal_size=size, run_before=drive)
