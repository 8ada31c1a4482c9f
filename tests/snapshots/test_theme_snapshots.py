"""Every screen in the other themes, at 80 and 120 columns, and the settings: `make slow`."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from app.settings import save_kept
from screens.base import Compare
from screens.remembered.kept import Kept, LookKept
from tests.pilot import press, settle
from tests.screens.test_settings_pilot import with_settings
from tests.seeded_ledger import ledger

SCREENS = {
    "runs": (None, ("space",)),
    "live": (8, ()),
    "rationales": (8, ("3",)),
    "compare": (8, ()),
    "new": (None, ("n",)),
    "sql": (8, ("5",)),
    "teacher": (8, ("6",)),
    "settings": (8, ("f2",)),
}


def check(snap_compare: Callable[..., bool], seeded: Path, tmp_path: Path, name: str, theme: str, columns: int) -> None:
    run_id, keys = SCREENS[name]
    path = Path("console.json")  # its name is on screen
    save_kept(path, Kept(look=LookKept(theme=theme)))

    async def drive(pilot: Pilot[None]) -> None:
        await settle(pilot)
        if name == "compare":
            pilot.app.post_message(Compare((2, 3, 4)))
            await pilot.pause()
            await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.1)
        if name not in ("new", "settings"):
            await press(pilot)
            await settle(pilot)

    database = Path(shutil.copy(seeded, tmp_path / "experiments.db"))
    if name == "teacher":
        ledger(database)
    size = (columns, 24 if columns == 80 else 40)
    assert snap_compare(with_settings(database, path, run_id), terminal_size=size, run_before=drive)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("theme", ["light", "safe-dark"])
@pytest.mark.parametrize("name", SCREENS)
def test_other_themes(
    snap_compare: Callable[..., bool],
    seeded: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    theme: str,
    columns: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    check(snap_compare, seeded, tmp_path, name, theme, columns)


def test_settings(
    snap_compare: Callable[..., bool], seeded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check(snap_compare, seeded, tmp_path, "settings", "dark", 120)
