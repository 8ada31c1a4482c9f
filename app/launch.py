"""The console as a process: how it shares Python with the reader's thread, and when garbage is collected."""

import gc
import sys
from pathlib import Path

from app.console import Console
from app.settings import settings_path

GARBAGE = (5000, 5, 50)
"""How much is made until the collector looks through the youngest, the younger and all objects: a look through all of a
console's takes as long as two frames, and with Python's own numbers it came every second while keys were pressed."""
TURN = 0.0005
"""Seconds after which a thread gives way to another: the reader lets the screens go on at each row it reads, and with
Python's 5 ms would get no further while they are drawn."""


def run(database: Path, run_id: int | None = None) -> None:
    """Open the console on a database (which need not exist yet), on a run's live screen where one is named."""
    console = Console(database, run_id, settings=settings_path())
    sys.setswitchinterval(TURN)
    gc.set_threshold(*GARBAGE)
    gc.freeze()  # what was imported stays
    console.run()
