"""Commands and workers forked from one process that has loaded torch, transformers and litellm: starting one costs
milliseconds instead of ten seconds of imports. From there on they are what they always are: processes with an id of
their own, that can be killed. Each test process has one such parent, begun when first wanted; `make slow` starts
workers as users do.
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from engine.runs import launch


@cache
def _context() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    # pytest: multiprocessing imports the main module again in each child
    context.set_forkserver_preload(["pytest", "tests.loaded"])
    return context


def start_worker(database: Path, run_id: int) -> ForkServerProcess:
    """As `launch.start_worker`."""
    log = launch.worker_log(database, run_id)
    log.parent.mkdir(parents=True, exist_ok=True)
    return _started("engine.runs.worker", [str(database), str(run_id)], Path.cwd(), dict(os.environ), log, log)


def start_command(
    arguments: Sequence[str], folder: Path, variables: Mapping[str, str], out: Path, err: Path
) -> ForkServerProcess:
    """`qcrd ARGUMENTS` in a folder; what it prints goes to the files. Workers that it starts are forked from it."""
    return _started("app.cli.main", list(arguments), folder, dict(variables), out, err)


def _started(module: str, *how: Any) -> ForkServerProcess:
    process = _context().Process(target=_run, args=(module, *how), daemon=True)
    process.start()
    return process


def _run(module: str, arguments: list[str], folder: Path, variables: dict[str, str], out: Path, err: Path) -> None:
    os.chdir(folder)
    _set_environment(variables)
    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(file, number)
        os.close(file)
    launch.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": _fork})  # type: ignore[attr-defined]
    sys.exit(import_module(module).main(arguments))


def _fork(command: Sequence[str], env: Mapping[str, str], **how: Any) -> "subprocess.Popen[bytes]":
    """In Popen's place in `launch`: instead of `python -P -m MODULE ARGUMENTS`, the module's main in a fork."""
    if command[3] == "engine.parallel.follower":  # of a worker, whose open database SQLite does not carry into a fork
        return subprocess.Popen(command, env=env, **how)

    def main() -> None:
        os.closerange(3, 1024)  # Popen waits for its pipe to close, as exec does
        _set_environment(env)
        code = import_module(command[3]).main(list(command[4:]))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    return subprocess.Popen(command, preexec_fn=main, **how)  # noqa: PLW1509  its parent has one thread


def _set_environment(variables: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)
