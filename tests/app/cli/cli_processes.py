"""Commands as processes of their own: what the tests of the command line share."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.errors import UsageError
from engine.runs import worker
from engine.store.connect import open_reader

ROOT = Path(__file__).resolve().parents[3]
STUB = Path(__file__).resolve().parent / "stub"
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(stub: bool, **extra: str) -> dict[str, str]:
    """The environment of a command: ours, without a database of the user's."""
    found = {k: v for k, v in os.environ.items() if k not in ("QCRD_DB", "PYTHONPATH", "COLUMNS", "NO_COLOR")}
    path = os.pathsep.join([*([str(STUB)] if stub else []), str(ROOT)])
    return found | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | extra


def command_line(*arguments: str) -> list[str]:
    """A command as a list for subprocess; -P: the folder it runs in holds no code of ours."""
    return [sys.executable, "-P", "-m", "app.cli.main", *arguments]


class _Ended(subprocess.Popen[bytes]):
    def __init__(self, code: int) -> None:
        self.returncode, self.pid = code, os.getpid()

    def poll(self) -> int:
        return self.returncode

    def __del__(self) -> None:
        """There is no process to wait for."""


def work_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands that are called in this process do their worker's work in it: torch is loaded once for all tests."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TOKENIZERS_PARALLELISM"):
        monkeypatch.setenv(name, "1")  # the worker sets them
    monkeypatch.setattr("engine.runs.launch.start_worker", lambda database, run: _Ended(worker.work(database, run)))


def kill_workers(database: Path) -> None:
    """End the workers that a test has left behind, by their ids."""
    if not database.exists():
        return
    with closing(open_reader(database)) as connection:
        left = connection.execute("SELECT pid FROM sessions WHERE outcome IS NULL").fetchall()
    for row in left:
        try:
            os.kill(row["pid"], 9)
        except ProcessLookupError:
            continue


def ask(database: Path, sql: str) -> Any:
    """The first value of a query; None where there is none, or not yet a database."""
    try:
        with closing(open_reader(database)) as connection:
            row = connection.execute(sql).fetchone()
    except UsageError:
        return None
    return None if row is None else row[0]
