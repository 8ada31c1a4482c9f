"""How the console's tests drive it: a fixed clock, and waiting for what is asked for to be shown."""

import time
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from app.console import Console
from screens.base import View
from tests.seeded import NOW


def console(database: Path, run_id: int | None = None, clock: Callable[[], float] = lambda: NOW) -> Console:
    """The console at the seeded moment."""
    return Console(database, run_id, clock=clock)


async def settle(pilot: Pilot[None]) -> None:
    """Wait until the view in front shows what it wants."""
    app = pilot.app
    assert isinstance(app, Console)
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        await pilot.pause()
        view = next((s for s in reversed(app.screen_stack) if isinstance(s, View)), None)
        if view is not None and app.shown == view.wanted():
            await pilot.pause()
            if app.shown == view.wanted():
                return
        await pilot.pause(0.02)
    raise AssertionError("the console never showed what its screen wants")


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys, settling after each."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


def shown(pilot: Pilot[None]) -> str:
    """The text on screen, a line a row."""
    lines = pilot.app.screen._compositor.render_strips(pilot.app.size)
    return "\n".join(strip.text for strip in lines)


async def until(pilot: Pilot[None], wanted: Callable[[], bool]) -> None:
    """Wait for something that comes from the reader's thread."""
    give_up = time.monotonic() + 60  # a process of its own may be waited for, on a busy machine
    while not wanted():
        assert time.monotonic() < give_up, f"never came; on screen:\n{shown(pilot)}"
        await pilot.pause(0.02)
