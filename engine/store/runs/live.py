"""What the console reads of one run in progress: immutable rows, made to be compared and drawn.

Every function takes an open connection and leaves no transaction behind. Texts are raw: cleaning is the drawing's part.
"""

import math
import sqlite3
import time
from dataclasses import dataclass

from engine.store.queries import FAILED, WORKED
from engine.store.runs.browse import LINE_LENGTH, NAME_LENGTH, RunRow, Score, read_run, read_scores
from engine.store.runs.curves import Curve, CurveReader
from engine.store.schema.views import NEVER_SENT

LOG_LINES = 500
SPENT_EVERY = 2.0
"""Seconds between two sums of what a sampling costs: over 100,000 calls one takes a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a run."""

    name: str
    state: str
    done: int
    total: int | None
    unit: str
    seconds: float
    """Worked on, by all processes of the run together."""
    failed: int
    """How many of those done got less than they were to get."""


@dataclass(frozen=True, slots=True)
class Session:
    """The last process that worked on a run."""

    pid: int
    host: str
    started_at: float
    last_at: float
    first_step: int
    outcome: str | None


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a run's log; ids grow."""

    id: int
    at: float
    level: str
    stage: str
    message: str


@dataclass(frozen=True, slots=True)
class Spent:
    """What the run's teachers have cost so far."""

    calls: int
    usd: float | None
    """None: no price is known."""
    unpriced: int
    """Answers whose price is unknown and not in `usd`."""
    budget_usd: float | None


@dataclass(frozen=True, slots=True)
class Live:
    """Everything the live screen shows of one run at one moment."""

    run: RunRow
    stages: tuple[Stage, ...]
    session: Session | None
    curves: tuple[Curve, ...]
    scores: tuple[Score, ...]
    logs: tuple[LogLine, ...]
    waiting: tuple[str, ...]
    """Orders given and not yet taken."""
    epoch_steps: float | None = None
    """Steps in which every example is seen once; None before the training has begun."""
    spent: "Spent | None" = None
    """None: no call was made."""

    def curve(self, name: str) -> Curve | None:
        """The curve of that name, if there is one."""
        return next((c for c in self.curves if c.name == name), None)


@dataclass
class LiveReader:
    """Reads one run again and again, and of its curves only what is new."""

    run_id: int

    def __post_init__(self) -> None:
        self._curves = CurveReader(self.run_id)
        self._epoch: float | None = None
        self._spent_at = -math.inf
        self._sum: Spent | None = None

    @property
    def sketchy(self) -> bool:
        """Whether of long curves only some points were read so far."""
        return self._curves.sketchy

    def read(self, con: sqlite3.Connection) -> Live | None:
        """The run now, or None if there is no such run."""
        run = read_run(con, self.run_id)
        if run is None:
            return None
        key = (self.run_id,)
        stages = con.execute(
            f"SELECT substr(name, 1, {NAME_LENGTH}), state, done, total, substr(unit, 1, {NAME_LENGTH}),"
            f" {WORKED}, (SELECT CAST(coalesce(max(f.value), 0) AS INTEGER) FROM facts f"
            "  WHERE f.run_id = stages.run_id AND f.stage = stages.name AND f.name = ?)"
            " FROM stages WHERE run_id = ? ORDER BY position",
            (FAILED, self.run_id),
        ).fetchall()
        session = con.execute(
            "SELECT id, pid, host, started_at, last_at, first_step, outcome FROM sessions WHERE run_id = ?"
            " ORDER BY id DESC LIMIT 1",
            key,
        ).fetchone()
        logs = con.execute(
            f"SELECT id, at, level, substr(stage, 1, {NAME_LENGTH}), substr(message, 1, {LINE_LENGTH})"
            " FROM logs WHERE run_id = ? ORDER BY id DESC LIMIT ?",
            (self.run_id, LOG_LINES),
        ).fetchall()
        orders = con.execute(
            "SELECT name FROM orders WHERE run_id = ? AND taken_at IS NULL ORDER BY id", key
        ).fetchall()
        return Live(
            run=run,
            stages=tuple(Stage(*row) for row in stages),
            session=None if session is None else Session(*session[1:]),
            curves=self._curves.read(con),
            scores=read_scores(con, self.run_id),
            logs=tuple(LogLine(*row) for row in reversed(logs)),
            waiting=tuple(row[0] for row in orders),
            epoch_steps=self._epoch_steps(con),
            spent=self._spent(con),
        )

    def _epoch_steps(self, con: sqlite3.Connection) -> float | None:
        if self._epoch is None:
            row = con.execute(
                "SELECT f.value / json_extract(r.spec, '$.training.batch_size') FROM runs r"
                " JOIN facts f ON f.run_id = r.id AND f.stage = 'train' AND f.name = 'examples' WHERE r.id = ?",
                (self.run_id,),
            ).fetchone()
            self._epoch = None if row is None else row[0]
        return self._epoch

    def _spent(self, con: sqlite3.Connection) -> Spent | None:
        """From the facts once sampling is over; until then added up, at most every SPENT_EVERY seconds."""
        facts = dict(
            con.execute(
                "SELECT name, value FROM facts WHERE run_id = ? AND stage = 'sample'", (self.run_id,)
            ).fetchall()
        )
        if "calls" in facts:
            counts = (facts["calls"], facts.get("price in USD"), facts.get("answers of unknown price"))
        elif time.monotonic() < self._spent_at + SPENT_EVERY:
            return self._sum
        else:
            self._spent_at = time.monotonic()
            counts = con.execute(
                "SELECT count(*), sum(p.price_usd), sum(p.id IS NOT NULL AND p.price_usd IS NULL) FROM attempts a"
                f" LEFT JOIN responses p ON p.attempt_id = a.id WHERE a.run_id = ? AND NOT {NEVER_SENT}",
                (self.run_id,),
            ).fetchone()
        calls, usd, unpriced = counts
        (budget,) = con.execute(
            "SELECT json_extract(spec, '$.teacher.budget_usd') FROM runs WHERE id = ?", (self.run_id,)
        ).fetchone()
        self._sum = Spent(int(calls), usd, int(unpriced or 0), budget) if calls else None
        return self._sum
