"""What the screen that asks a student is drawn from: its run, the questions of its data, what is known of one."""

import sqlite3
from dataclasses import dataclass
from typing import Any

from engine.store.rationales.known import Known, read_known, read_splits
from engine.store.runs.browse import RunRow, read_run


@dataclass(frozen=True, slots=True)
class Seen:
    """A run, the questions of its data, and what is known of one of them."""

    run: RunRow
    splits: tuple[tuple[str, tuple[str, ...]], ...]
    known: Known | None


@dataclass(frozen=True, slots=True)
class TryWatch:
    """A run, and a question of its data; None: one that is typed."""

    run_id: int | None
    example: str | None

    def read(self, con: sqlite3.Connection, kept: dict[str, Any]) -> Seen | None:
        """None where there is no such run."""
        run = None if self.run_id is None else read_run(con, self.run_id)
        if run is None:
            return None
        of, splits = kept.get("splits", (-1, ()))
        if of != run.id or not splits:
            splits = read_splits(con, run.id)
            kept["splits"] = (run.id, splits)
        return Seen(run, splits, None if self.example is None else read_known(con, run.id, self.example))

    def at(self, content: Seen, now: float) -> Seen:
        """Nothing about it grows old."""
        return content
