"""What the list of runs reads."""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from engine.store.runs.browse import Score, read_scores
from engine.store.runs.listing import RunList, RunListReader, stale


@dataclass(frozen=True, slots=True)
class RunsWatch:
    """The runs that a filter lets through, and the scores of the one under the cursor."""

    selected: int | None
    where: str = ""
    settings: tuple[str, ...] = ()
    archived: bool = False
    minute: int = 0
    """Grows where the filter speaks of what changes by the clock."""
    newest: int = 0
    """So many of the newest are enough where nothing has been read yet; 0: all are wanted."""
    clock: Callable[[], float] = field(default=time.time, compare=False)

    def read(self, con: sqlite3.Connection, kept: dict[str, Any]) -> "RunsSeen":
        """The rows."""
        reader = kept.setdefault("runs", RunListReader())
        runs = reader.read(con, self.where, self.settings, self.archived, self.clock(), self.newest)
        return RunsSeen(runs, () if self.selected is None else read_scores(con, self.selected))

    def at(self, content: "RunsSeen", now: float) -> "RunsSeen":
        """Runs go stale."""
        return replace(content, stale=stale(content.runs.live, now))


@dataclass(frozen=True, slots=True)
class RunsSeen:
    """What a RunsWatch reads."""

    runs: RunList
    scores: tuple[Score, ...]
    stale: frozenset[int] = frozenset()
