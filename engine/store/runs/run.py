"""A run's row: making it, claiming it for a process, giving it orders. Each on a short connection of its own."""

import json
import os
import socket
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.errors import QcrdError, UsageError
from engine.runs.launch import is_alive
from engine.store.connect import open_reader, write
from engine.store.schema.views import STALE_AFTER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from engine.spec.run import RunSpec

    T = TypeVar("T")

Order = Literal["pause", "resume", "stop", "checkpoint"]
ASIDE = "aside"
"""Key of the provenance of runs that are no whole job: "pilot", "prompt trial"."""


def create_run(path: Path, spec: "RunSpec") -> int:
    """Queue a run: its row, and its folder beside the database. Gives its id.

    Raises QcrdError where the database or the folder cannot be written.
    """
    return create_runs(path, [spec], lambda _conn, run_ids: run_ids[0])


def create_runs(path: Path, specs: "Sequence[RunSpec]", then: "Callable[[sqlite3.Connection, list[int]], T]") -> "T":
    """Queue runs, all or none; gives what `then`, within the same transaction, makes of their ids.

    Raises QcrdError where the database or a folder cannot be written, and whatever `then` raises.
    """
    folders: list[Path] = []

    def create(conn: sqlite3.Connection) -> "T":
        return then(conn, [_insert(conn, path, spec, folders) for spec in specs])

    try:
        return write(path, create)
    except BaseException:
        for folder in folders:
            with suppress(OSError):
                folder.rmdir()
        raise


def _insert(conn: sqlite3.Connection, path: Path, spec: "RunSpec", folders: list[Path]) -> int:
    row = conn.execute(
        "INSERT INTO runs (name, status, method, dataset, teacher, student, seed, spec, folder, created_at, steps,"
        " iterations) VALUES (?, 'queued', ?, ?, ?, ?, ?, ?, '', ?, ?, ?) RETURNING id",
        (
            spec.name,
            spec.method.name,
            spec.data.dataset,
            spec.teacher.name if spec.needs_teacher else "",
            spec.student.model,
            spec.seed,
            spec.model_dump_json(),
            time.time(),
            spec.training.steps if spec.until == "export" else 0,
            0 if spec.until == "vote" or spec.training.iterations == "epoch" else spec.training.iterations,
        ),
    ).fetchone()
    run_id = int(row["id"])
    folder = _make_folder(path, run_id)
    folders.append(path.absolute().parent / folder)
    conn.execute("UPDATE runs SET folder = ? WHERE id = ?", (folder, run_id))
    return run_id


def folder_of(path: Path, run: sqlite3.Row) -> Path:
    """The folder with a run's checkpoints and exports; `run` has the column `folder`."""
    return path.absolute().parent / str(run["folder"])


def stored_spec(conn: sqlite3.Connection, run_id: int) -> "RunSpec":
    """The spec a run was made with. Raises UsageError where there is no such run or this qcrd cannot read its spec."""
    from pydantic import ValidationError

    from engine.spec.run import RunSpec

    row = conn.execute("SELECT spec FROM runs WHERE id = ?", (run_id,)).fetchone()
    if row is None:
        raise UsageError(f"there is no run {run_id}: `qcrd runs` lists them")
    try:
        return RunSpec.model_validate(json.loads(row["spec"]))
    except (ValidationError, ValueError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise UsageError(
            f"the spec of run {run_id} is of another version of qcrd ({what}): go on with the version that made it"
        ) from error


def run_place(path: Path, run_id: int) -> "tuple[RunSpec, Path, int]":
    """A run's spec, its folder, and the step it is at. Raises as `stored_spec`."""
    with closing(open_reader(path)) as conn:
        spec = stored_spec(conn, run_id)
        run = conn.execute("SELECT folder, step FROM runs WHERE id = ?", (run_id,)).fetchone()
    return spec, folder_of(path, run), int(run["step"])


def set_processes(path: Path, run_id: int, count: int) -> None:
    """Go on with another number of processes. Raises UsageError where the spec does not allow it."""
    from pydantic import ValidationError

    from engine.spec.run import RunSpec

    def change(conn: sqlite3.Connection) -> None:
        spec = stored_spec(conn, run_id).model_dump()
        spec["compute"]["processes"] = count
        try:
            conn.execute(
                "UPDATE runs SET spec = ? WHERE id = ?", (RunSpec.model_validate(spec).model_dump_json(), run_id)
            )
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise UsageError(f"run {run_id} cannot go on with {count} processes: {reason}") from error

    write(path, change)


def set_limits(path: Path, run_id: int, overrides: "Sequence[str]") -> None:
    """Go on with other limits, given as `--set` takes them. Raises UsageError as `spec.load.change_limits` does."""
    from engine.spec.load import change_limits

    def change(conn: sqlite3.Connection) -> None:
        spec = change_limits(stored_spec(conn, run_id), overrides)
        conn.execute("UPDATE runs SET spec = ? WHERE id = ?", (spec.model_dump_json(), run_id))

    write(path, change)


def claim(path: Path, run_id: int, *, pid: int | None = None, host: str | None = None) -> int:
    """Make this process the one that works on a queued, stale, interrupted or failed run; gives its session's id.

    Raises UsageError where there is no such run, it is done, or another process is at work on it.
    """
    mine = (os.getpid() if pid is None else pid, socket.gethostname() if host is None else host)

    def take(conn: sqlite3.Connection) -> int:
        now = time.time()
        run = _row(conn, run_id)
        if run["status"] == "done":
            raise UsageError(f"run {run_id} is done: start another with `qcrd run`")
        if run["status"] in ("running", "paused"):
            holder = conn.execute(
                "SELECT pid, host FROM sessions WHERE run_id = ? ORDER BY id DESC LIMIT 1", (run_id,)
            ).fetchone()
            fresh = now - (run["heartbeat_at"] or 0.0) < STALE_AFTER
            if holder is not None and fresh and not worker_is_gone(conn, run_id):
                raise UsageError(
                    f"run {run_id} is being worked on by process {holder['pid']} on {holder['host']}: "
                    f"`qcrd attach {run_id}` shows it, `qcrd stop {run_id}` ends it"
                )
        session = conn.execute(
            "INSERT INTO sessions (run_id, pid, host, started_at, last_at, first_step) VALUES (?, ?, ?, ?, ?, ?)"
            " RETURNING id",
            (run_id, *mine, now, now, run["step"]),
        ).fetchone()
        conn.execute(
            "UPDATE runs SET status = 'running', error = NULL, ended_at = NULL, heartbeat_at = ?,"
            " started_at = coalesce(started_at, ?) WHERE id = ?",
            (now, now, run_id),
        )
        return int(session["id"])

    return write(path, take)


def refuse_aside(path: Path, run_id: int) -> None:
    """Raises UsageError for a pilot or a trial: a worker would take it for the whole job."""
    with closing(open_reader(path)) as conn:
        found = conn.execute("SELECT value FROM provenance WHERE run_id = ? AND key = ?", (run_id, ASIDE)).fetchone()
    if found is not None:
        raise UsageError(
            f"run {run_id} is a {found[0]}, which cannot be resumed: give its command again; what it paid for is stored"
        )


def order(path: Path, run_id: int, name: Order) -> None:
    """Ask something of a run: pause, resume, stop or checkpoint; its worker reads it between two steps.

    `resume` takes back what was asked before it and not yet read, so give it before starting a worker again.
    Raises UsageError where there is no such run, or no worker that could do it.
    """

    def give(conn: sqlite3.Connection) -> None:
        run = _row(conn, run_id)
        if name != "resume" and run["status"] in ("done", "failed", "interrupted"):
            raise UsageError(f"run {run_id} is {run['status']}: there is nothing to {name}")
        if name != "resume" and run["status"] in ("running", "paused") and worker_is_gone(conn, run_id):
            raise UsageError(
                f"the worker of run {run_id} is gone, nothing can {name} it: `qcrd resume {run_id}` goes on"
            )
        conn.execute("INSERT INTO orders (run_id, name, created_at) VALUES (?, ?, ?)", (run_id, name, time.time()))

    write(path, give)


def set_status(path: Path, run_id: int, status: str, error: str | None = None) -> None:
    """Set a run's status past its writer: for a worker whose writer has failed, or that could not be started."""
    from engine.store.texts import storable

    line = None if error is None else storable(error)

    def change(conn: sqlite3.Connection) -> None:
        conn.execute(
            "UPDATE runs SET status = ?, error = ?, ended_at = ? WHERE id = ?", (status, line, time.time(), run_id)
        )
        conn.execute(
            "UPDATE sessions SET outcome = ?, last_at = ?"
            " WHERE run_id = ? AND outcome IS NULL AND pid = ? AND host = ?",
            (status, time.time(), run_id, os.getpid(), socket.gethostname()),
        )

    write(path, change)


def worker_is_gone(conn: sqlite3.Connection, run_id: int) -> bool:
    """Whether the process that worked on it last is known to be dead (on another machine: is not known)."""
    last = conn.execute(
        "SELECT pid, host FROM sessions WHERE run_id = ? ORDER BY id DESC LIMIT 1", (run_id,)
    ).fetchone()
    return last is not None and is_alive(last["pid"], last["host"]) is False


def _row(conn: sqlite3.Connection, run_id: int) -> sqlite3.Row:
    row: sqlite3.Row | None = conn.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
    if row is None:
        raise UsageError(f"there is no run {run_id}: `qcrd runs` lists them")
    return row


def _make_folder(path: Path, run_id: int) -> str:
    """A new folder for the run beside the database, relative to it: never one that another run's files are in."""
    parent = path.absolute().parent
    name = f"runs/{run_id}"
    while True:
        try:
            (parent / "runs").mkdir(exist_ok=True)
            (parent / name).mkdir()
            return name
        except FileExistsError:  # of a database that was deleted, its files left behind
            if not (parent / "runs").is_dir():
                raise QcrdError(f"{parent / 'runs'} is in the way of the runs' folder: move it") from None
            name = f"runs/{run_id}-{os.urandom(2).hex()}"
        except OSError as error:
            raise QcrdError(
                f"cannot make the run's folder {parent / name} ({error.strerror}): free space or permission is missing"
            ) from error
