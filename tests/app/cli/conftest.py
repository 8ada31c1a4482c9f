"""Commands as processes of their own, with a pipeline that needs no torch (stub/sitecustomize.py)."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.cli.cli_processes import Command, command_line, environment, kill_workers


@pytest.fixture
def qcrd(tmp_path: Path) -> Command:
    """Run a command to its end in tmp_path."""

    def run(*arguments: str, stub: bool = True, **options: Any) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command_line(*arguments),
            cwd=tmp_path,
            env=environment(stub),
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=240,
            check=False,
            **options,
        )

    return run


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start a command in tmp_path and go on; what still runs at the end of the test is killed, workers too."""
    started: list[subprocess.Popen[str]] = []
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, and that is inherited

    def start(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
        options = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE} | options
        process = subprocess.Popen(
            command_line(*arguments),
            cwd=tmp_path,
            env=environment(stub=True),
            text=True,
            stdin=subprocess.DEVNULL,
            **options,
        )
        started.append(process)
        return process

    yield start
    signal.signal(signal.SIGHUP, hangup)
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
    kill_workers(tmp_path / "experiments.db")
