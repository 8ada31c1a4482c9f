"""Two consoles on one database, left open while the command line starts, stops and kills runs: both stay true.

The commands, the workers' processes and the consoles are real; what a worker trains is tests/app/cli/stub.
"""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.cli.main import _run
from engine.store.connect import open_reader
from engine.store.schema.views import STALE_AFTER
from screens.widgets.words import STATUS
from tests.app.cli.cli_processes import ask, command_line, environment, kill_workers
from tests.terminal import Terminal

ROW = re.compile(r"^│[◆ ]([★ ])([●✓✗◌‖■?]) (\S+) ", re.MULTILINE)
Rows = dict[str, tuple[str, bool]]
"""name -> sign of the state, starred."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where commands of this process and of the consoles find the database and the stub."""
    for name, value in environment(stub=True, QCRD_CONFIG=str(tmp_path)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("QCRD_DB", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text("[training]\nsteps = 100000\niterations = 100\n")
    yield tmp_path
    kill_workers(tmp_path / "experiments.db")


def said(database: Path) -> Rows:
    """What the database says of its runs; those that were put away are left out."""
    with closing(open_reader(database)) as con:
        found = con.execute(
            "SELECT name, status, heartbeat_at, coalesce(star, 0) FROM runs LEFT JOIN run_marks ON run_id = id"
            " WHERE NOT coalesce(archived, 0)"
        ).fetchall()
    silent = time.time() - STALE_AFTER
    return {
        name: (STATUS["stale" if status in ("running", "paused") and beat < silent else status][0], bool(star))
        for name, status, beat, star in found
    }


def listed(screen: str) -> Rows:
    """What a console's list says of them."""
    return {name: (sign, star == "★") for star, sign, name in ROW.findall(screen)}


def started(*options: str) -> int:
    """Start a run by the command line, in this process; its worker is one of its own."""
    return _run(["run", "run.toml", "--detach", *options])


def until(true: Callable[[], object]) -> None:
    give_up = time.monotonic() + 120
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_both_consoles_say_what_the_database_says(folder: Path) -> None:
    database = folder / "experiments.db"
    first = Terminal(command_line(), folder, dict(os.environ), 80, 24)
    second = Terminal(command_line(), folder, dict(os.environ), 120, 40)

    def both(name: str, sign: str, star: bool = False) -> None:
        until(lambda: said(database).get(name) == (sign, star))
        for console in (first, second):
            console.until(lambda screen: listed(screen) == said(database))

    with first, second:
        first.until("No run yet")
        second.until("No run yet")
        assert started("--name", "slow") == 0
        both("slow", "●")
        assert _run(["pause", "slow"]) == 0
        both("slow", "‖")
        first.press("*")
        both("slow", "‖", True)
        second.press("*")
        both("slow", "‖")
        assert _run(["resume", "slow", "--detach"]) == 0
        both("slow", "●")
        assert started("--name", "fail") == 0
        both("fail", "✗")
        assert started("--name", "quick", "--set", "training.steps=100") == 0
        both("quick", "✓")

        os.kill(ask(database, "SELECT pid FROM sessions WHERE run_id = 1 AND outcome IS NULL"), signal.SIGKILL)
        late = f"UPDATE runs SET heartbeat_at = heartbeat_at - {2 * STALE_AFTER} WHERE id = 1"
        until(lambda: ask(database, "SELECT heartbeat_at FROM runs WHERE id = 1") is not None)
        change(database, late)
        both("slow", "?")
        assert _run(["stop", "slow"]) == 2  # nobody is there to be stopped
        both("slow", "?")
        assert _run(["resume", "slow", "--detach"]) == 0
        both("slow", "●")
        second.press("G", "enter")
        second.until("● running slow")
        assert _run(["stop", "slow"]) == 0
        second.until("■ interrupted slow")
        second.press("1")
        both("slow", "■")
        assert _run(["archive", "fail"]) == 0
        both("quick", "✓")
        for console in (first, second):
            assert "fail" not in listed(console.shown())
            console.press("q")
            console.until_ended()
            assert console.process.returncode == 0
            assert b"Traceback" not in console.raw


def change(database: Path, sql: str) -> None:
    """Write as nobody of ours would."""
    import sqlite3

    with closing(sqlite3.connect(database)) as con:
        con.execute(sql)
        con.commit()
