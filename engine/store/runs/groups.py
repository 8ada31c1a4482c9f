"""Groups of runs: made by one command, worked on by one queue at a time. Each change on a connection of its own."""

import hashlib
import json
import os
import re
import socket
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import UsageError
from engine.runs.launch import is_alive
from engine.store.connect import write
from engine.store.runs.run import create_runs
from engine.store.schema.views import STALE_AFTER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.spec.run import RunSpec


@dataclass(frozen=True, slots=True)
class GroupRun:
    """A run of a group, as its queue sees it."""

    id: int
    name: str
    status: str
    """As stored."""
    method: str
    seed: int
    device: str
    """student.device of its spec."""
    step: int
    steps: int
    error: str | None
    alive: bool
    """A worker is at work on it, as far as can be told."""
    pid: int | None
    """Of its last worker."""
    stage: str
    """The last one that has begun; "" where none has."""
    buying: bool
    """It may still ask the teacher: its sampling has not ended."""
    processes: int = 1
    """compute.processes of its spec."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group and its runs, in the order in which they are run."""

    id: int
    name: str
    runs: tuple[GroupRun, ...]
    pid: int | None
    host: str | None
    alive: bool
    """A queue works on it, as far as can be told."""
    stop: bool
    """It was asked to end."""
    ended: bool
    """Its last queue came to its end; False where it works or was killed."""

    @property
    def done(self) -> int:
        """How many runs are done."""
        return sum(run.status == "done" for run in self.runs)


def create_group(path: Path, specs: "Sequence[RunSpec]") -> tuple[int, bool]:
    """The group of these runs, in this order: the one that is there already, else a new one (then True), all queued.

    Raises QcrdError where the database or a folder cannot be written; then no run is made.
    """
    digest = hashlib.sha256(json.dumps([spec.model_dump_json() for spec in specs]).encode()).hexdigest()

    def insert(conn: sqlite3.Connection, run_ids: list[int]) -> int:
        row = conn.execute(
            "INSERT INTO run_groups (name, hash, created_at) VALUES (?, ?, ?) RETURNING id",
            (specs[0].name, digest, time.time()),
        ).fetchone()
        conn.executemany(
            "INSERT INTO group_runs (group_id, position, run_id) VALUES (?, ?, ?)",
            [(row["id"], position, run_id) for position, run_id in enumerate(run_ids)],
        )
        return int(row["id"])

    known = write(path, lambda conn: conn.execute("SELECT id FROM run_groups WHERE hash = ?", (digest,)).fetchone())
    if known is not None:
        return int(known["id"]), False
    return create_runs(path, specs, insert), True


def find_group(conn: sqlite3.Connection, text: str) -> int | None:
    """The id of the group that "g3" names; None where the text is no group's name ("3" is a run's).

    Raises UsageError where there is no such group, unless a run is called so.
    """
    match = re.fullmatch(r"g(\d{1,18})", text.strip())
    if match is None:
        return None
    row = conn.execute("SELECT id FROM run_groups WHERE id = ?", (int(match[1]),)).fetchone()
    if row is not None:
        return int(row["id"])
    if conn.execute("SELECT 1 FROM runs WHERE name = ?", (text.strip(),)).fetchone():
        return None
    raise UsageError(
        f"there is no group {text.strip()}: `qcrd compare` shows the last one, `qcrd run SPEC --methods …` makes one"
    )


def last_group(conn: sqlite3.Connection) -> int:
    """The id of the newest group. Raises UsageError where there is none."""
    row = conn.execute("SELECT max(id) AS id FROM run_groups").fetchone()
    if row["id"] is None:
        raise UsageError(
            "there is no group yet: `qcrd run SPEC --methods …` makes one; `qcrd compare RUN RUN` takes any runs"
        )
    return int(row["id"])


def read_group(conn: sqlite3.Connection, group_id: int) -> Group:
    """The group now. Raises UsageError where there is none."""
    group = conn.execute("SELECT * FROM run_groups WHERE id = ?", (group_id,)).fetchone()
    if group is None:
        raise UsageError(f"there is no group g{group_id}")
    rows = conn.execute(
        "SELECT r.*, json_extract(r.spec, '$.student.device') AS device,"
        " json_extract(r.spec, '$.compute.processes') AS processes, s.pid, s.host,"
        " (SELECT name FROM stages WHERE run_id = r.id AND state <> 'waiting' ORDER BY position DESC LIMIT 1) AS stage,"
        " r.teacher <> '' AND NOT EXISTS (SELECT 1 FROM stages WHERE run_id = r.id AND ("
        "  name = 'sample' AND state = 'done' OR name = 'train' AND NOT EXISTS"
        "  (SELECT 1 FROM stages t WHERE t.run_id = r.id AND t.name = 'sample'))) AS buying"
        " FROM group_runs g JOIN runs r ON r.id = g.run_id"
        " LEFT JOIN sessions s ON s.id = (SELECT max(id) FROM sessions WHERE run_id = r.id)"
        " WHERE g.group_id = ? ORDER BY g.position",
        (group_id,),
    ).fetchall()
    return Group(
        id=group_id,
        name=group["name"],
        runs=tuple(_run(row) for row in rows),
        pid=group["pid"],
        host=group["host"],
        alive=group["ended_at"] is None and _at_work(group["pid"], group["host"], group["heartbeat_at"]),
        stop=bool(group["stop"]),
        ended=group["ended_at"] is not None,
    )


def claim_group(path: Path, group_id: int) -> None:
    """Make this process the group's queue. Raises UsageError where there is no such group, or another queue has it."""

    def take(conn: sqlite3.Connection) -> None:
        group = read_group(conn, group_id)
        if group.alive and (group.pid, group.host) != (os.getpid(), socket.gethostname()):
            raise UsageError(
                f"group g{group_id} is being worked on by process {group.pid} on {group.host}: "
                f"`qcrd attach g{group_id}` shows it, `qcrd stop g{group_id}` ends it"
            )
        conn.execute(
            "UPDATE run_groups SET pid = ?, host = ?, heartbeat_at = ?, stop = 0, ended_at = NULL WHERE id = ?",
            (os.getpid(), socket.gethostname(), time.time(), group_id),
        )

    write(path, take)


def beat_group(path: Path, group_id: int, *, ended: bool = False) -> None:
    """Say that the group's queue lives, or that it has ended."""
    now = time.time()
    write(
        path,
        lambda conn: conn.execute(
            "UPDATE run_groups SET heartbeat_at = ?, ended_at = ? WHERE id = ? AND pid = ? AND host = ?",
            (now, now if ended else None, group_id, os.getpid(), socket.gethostname()),
        ),
    )


def stop_group(path: Path, group_id: int) -> None:
    """Ask the group's queue to stop its runs after a checkpoint and to end; the others stay queued."""
    write(path, lambda conn: conn.execute("UPDATE run_groups SET stop = 1 WHERE id = ?", (group_id,)))


def _run(row: sqlite3.Row) -> GroupRun:
    return GroupRun(
        id=row["id"],
        name=row["name"],
        status=row["status"],
        method=row["method"],
        seed=row["seed"],
        device=row["device"] or "auto",
        processes=row["processes"] or 1,
        step=row["step"],
        steps=row["steps"],
        error=row["error"],
        alive=row["status"] in ("running", "paused") and _at_work(row["pid"], row["host"], row["heartbeat_at"]),
        pid=row["pid"],
        stage=row["stage"] or "",
        buying=bool(row["buying"]),
    )


def _at_work(pid: int | None, host: str | None, heartbeat_at: float | None) -> bool:
    if pid is None or host is None:
        return False
    return is_alive(pid, host) is not False and time.time() - (heartbeat_at or 0.0) < STALE_AFTER
