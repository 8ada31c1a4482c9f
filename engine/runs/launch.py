"""Start the process that works on a run, detached from this terminal, and tell whether one still lives."""

import json
import os
import site
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import engine
from engine.errors import QcrdError, UsageError
from engine.store.connect import open_reader

MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**29), "MALLOC_TOP_PAD_": str(2**27)}
"""glibc keeps what a step frees for the next one instead of giving it back: on a CPU a tenth of a small student's step
were page faults. Other C libraries do not look at these."""


def run_folder(database: Path, run_id: int) -> Path:
    """Where a run's checkpoints, exports and worker.log are. Raises UsageError where there is no such run."""
    with closing(open_reader(database)) as connection:
        row = connection.execute("SELECT folder FROM runs WHERE id = ?", (run_id,)).fetchone()
    if row is None:
        raise UsageError(f"there is no run {run_id}: `qcrd runs` lists them")
    return database.absolute().parent / str(row["folder"])


def has_student(database: Path, run_id: int) -> bool:
    """Whether the run has a checkpoint, or its exported student."""
    folder = run_folder(database, run_id)
    whole = (one for one in folder.glob("checkpoints/step-*") if one.suffix != ".partial")
    return any(whole) or (folder / "student" / "config.json").is_file()


def worker_log(database: Path, run_id: int) -> Path:
    """What the worker and its libraries print."""
    return run_folder(database, run_id) / "worker.log"


def start_worker(database: Path, run_id: int, variables: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """A worker on the run, in a session of its own: it outlives this process and its terminal.

    Its output is appended to the run's worker.log; `variables` are laid over its environment. Raises OSError where the
    run's folder cannot be written.
    """
    return _start("engine.runs.worker", database, [run_id], worker_log(database, run_id), variables)


def start_follower(
    database: Path, run_id: int, rank: int, count: int, port: int
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Rank `rank` of `count` processes on a run, a child of the worker that calls this, which prints where it prints.

    The socket is its standard input: it ends when the socket is closed, and says there, on one line, why it fails.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        arguments = [str(database.resolve()), *map(str, (run_id, rank, count, port))]
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.parallel.follower", *arguments],
            stdin=theirs.fileno(),
            env=_environment(),
        )
    return process, ours


def run_check(database: Path, spec: Path, stop: Callable[[], bool]) -> tuple[list[tuple[str, str]], list[str]]:
    """The report of a dry run, made by a process of its own: what would be done and cost, and what stands in the way.

    `stop` is asked several times a second, and ends it. Raises QcrdError where it came to no end.
    """
    found = _told("engine.runs.preflight", [database, spec], stop, f"`qcrd run {spec.name} --dry-run` says more")
    return [(label, text) for label, text in found["lines"]], found["problems"]


def run_trial(database: Path, spec: Path, questions: int, stop: Callable[[], bool]) -> dict[str, Any]:
    """A prompt tried on a few questions by a process of its own, which pays for them: `teacher.trial.Trial` as a dict.

    `stop` ends it as Ctrl-C does: what is under way is waited for and stored. Raises QcrdError where it fails.
    """
    found = _told("engine.teacher.trial", [database, spec, questions], stop, f"`qcrd try-prompt {spec.name}` says more")
    if "error" in found:
        raise QcrdError(found["error"])
    return found


def run_export(database: Path, run_id: int, folder: Path, stop: Callable[[], bool]) -> Path:
    """A run's best student exported to a folder by a process of its own; the folder's absolute path.

    `stop` ends it; what it has not finished is called FOLDER.partial. Raises QcrdError where it fails.
    """
    arguments = [database.absolute(), run_id, folder.absolute()]
    found = _told("engine.runs.exporting", arguments, stop, f"`qcrd export {run_id} FOLDER` says more")
    if "error" in found:
        raise QcrdError(found["error"])
    return Path(found["folder"])


def start_evaluation(database: Path, request: str, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """A process that draws and judges answers (`engine.runs.evaluation`), a line of JSON for each thing it says.

    It ends, after what is under way, at SIGTERM or when its standard input is closed. What its libraries print goes to
    `errors`. Raises OSError where it cannot be started.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "engine.runs.evaluation", str(database.absolute()), request],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=_environment(),
    )


def start_inference(database: Path, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """A process that answers questions to students (`engine.runs.inference`) until its standard input is closed.

    What it and its libraries print goes to `errors`. Raises OSError where it cannot be started.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "engine.runs.inference", str(database.absolute())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=_environment(),
    )


def _told(module: str, arguments: Sequence[object], stop: Callable[[], bool], more: str) -> dict[str, Any]:
    """The line of JSON that a process ends with."""
    command = [sys.executable, "-P", "-m", module, *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment()
    ) as process:
        asked = False
        while True:
            try:
                out, _ = process.communicate(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                if stop() and not asked:
                    asked = True
                    process.terminate()
    try:
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        raise QcrdError(f"it came to no end: {more}") from None
    return found


def start_queue(database: Path, group_id: int, jobs: int | None) -> subprocess.Popen[bytes]:
    """A queue on the group's runs, in a session of its own; `jobs` at once, None: one, or one for each GPU."""
    return _start("engine.runs.grid", database, [group_id, jobs or 0], queue_log(database, group_id), None)


def queue_log(database: Path, group_id: int) -> Path:
    """What a group's queue prints."""
    return database.absolute().parent / "runs" / f"group-{group_id}.log"


def _start(
    module: str, database: Path, numbers: Sequence[int], log: Path, variables: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            # -P: a folder called engine/ where the user happens to stand must not be taken for ours
            [sys.executable, "-P", "-m", module, str(database.resolve()), *map(str, numbers)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=_environment() | dict(variables or {}),
        )


def is_alive(pid: int, host: str) -> bool | None:
    """Whether that process is there; None where it is another machine's, which only its heartbeat can tell."""
    if host != socket.gethostname():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def log_tail(database: Path, run_id: int, lines: int = 8) -> list[str]:
    """The last lines of worker.log, raw; empty where there is none."""
    return last_lines(worker_log(database, run_id), lines)


def last_lines(log: Path, lines: int = 8) -> list[str]:
    """The last lines of a file, raw; empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 64 * 1024))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return text.splitlines()[-lines:]


def _is_zombie(pid: int) -> bool:
    """Dead, but not yet collected by the process that started it (told on Linux alone)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[:1] == [b"Z"]


def _environment() -> dict[str, str]:
    environment = MALLOC | os.environ
    root = str(Path(engine.__file__).resolve().parent.parent)
    if root not in site.getsitepackages():  # a checkout that is not installed
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH", "")]))
    environment["PYTHONUNBUFFERED"] = "1"
    return environment
