"""What the console reads of the runs: immutable rows, made to be compared and drawn.

Every function takes an open connection and leaves no transaction behind. Texts are raw: cleaning is the drawing's part.
"""

import sqlite3
from dataclasses import dataclass, replace
from typing import Any

from engine.store.schema.views import STALE_AFTER

NAME_LENGTH = 300
"""Characters read of a name."""
LINE_LENGTH = 4000
"""Characters read of a log line or an error; the whole is in the database."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A share of right answers with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run, as the list of runs shows it; times in seconds since 1970."""

    id: int
    name: str
    status: str
    """As stored, or "stale" once `with_clock` has seen it."""
    method: str
    dataset: str
    teacher: str
    student: str
    seed: int
    step: int
    steps: int
    iteration: int
    iterations: int
    predict: Accuracy | None
    explain: Accuracy | None
    accuracy_split: str | None
    seconds: float | None
    created_at: float
    started_at: float | None
    ended_at: float | None
    heartbeat_at: float | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Score:
    """An accuracy of someone on a split."""

    split: str
    who: str
    head: str
    step: int
    accuracy: Accuracy


def with_clock(run: RunRow, now: float) -> RunRow:
    """The same run, "stale" where a worker should be alive and its heartbeat is old."""
    if run.status in ("running", "paused"):
        beat = run.heartbeat_at or run.started_at or run.created_at
        if now - beat > STALE_AFTER:
            return replace(run, status="stale")
    return run


RUN_QUERY = f"""
SELECT s.id, substr(s.name, 1, {NAME_LENGTH}), r.status, substr(s.method, 1, {NAME_LENGTH}),
       substr(s.dataset, 1, {NAME_LENGTH}), substr(s.teacher, 1, {NAME_LENGTH}), substr(s.student, 1, {NAME_LENGTH}),
       s.seed, s.step, s.steps, s.iteration,
       s.iterations, s.predict_accuracy, s.predict_accuracy_low, s.predict_accuracy_high,
       s.explain_accuracy, s.explain_accuracy_low, s.explain_accuracy_high, s.accuracy_split, s.seconds,
       s.created_at, s.started_at, s.ended_at, s.heartbeat_at, substr(s.error, 1, {LINE_LENGTH})
FROM run_summary s JOIN runs r ON r.id = s.id
"""


def read_runs(con: sqlite3.Connection) -> tuple[RunRow, ...]:
    """Every run, newest first."""
    return tuple(run_of(row) for row in con.execute(RUN_QUERY + "ORDER BY s.id DESC").fetchall())


def read_run(con: sqlite3.Connection, run_id: int) -> RunRow | None:
    """One run, or None."""
    row = con.execute(RUN_QUERY + "WHERE s.id = ?", (run_id,)).fetchone()
    return None if row is None else run_of(row)


def run_of(row: tuple[Any, ...]) -> RunRow:
    """The run in a row of RUN_QUERY."""

    def accuracy(at: int) -> Accuracy | None:
        return None if row[at] is None else Accuracy(row[at], row[at + 1], row[at + 2])

    values: list[Any] = [*row[:12], accuracy(12), accuracy(15), *row[18:]]
    return RunRow(*values)


def read_scores(con: sqlite3.Connection, run_id: int) -> tuple[Score, ...]:
    """Who reached what, the last of each kind alone; who is not the student first."""
    rows = con.execute(
        "SELECT split, who, head, max(step), accuracy, low, high FROM scores WHERE run_id = ?"
        " GROUP BY split, who, head ORDER BY who = 'student', split, who, head",
        (run_id,),
    ).fetchall()
    return tuple(Score(row[0], row[1], row[2], row[3], Accuracy(*row[4:])) for row in rows)
