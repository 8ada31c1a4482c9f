"""What the list of runs reads."""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from engine.store.runs.browse import Score, read_scores
from engine.store.runs.listing import Listed, RunList, RunListReader, stale
from screens.listing.run_table import settings_of
from screens.remembered.kept import RunsKept


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

    @classmethod
    def of(cls, kept: RunsKept, selected: int | None, newest: int, clock: Callable[[], float]) -> "RunsWatch":
        """What a list that looks so needs; the newest alone are enough where nothing sorts or groups it."""
        timed = any(word in kept.where.lower() for word in ("age", "state", "status"))
        minute = int(clock() // 60) if timed else 0
        newest = 0 if kept.sort or kept.groups else newest
        return cls(selected, kept.where, settings_of(kept), kept.archived, minute, newest, clock)

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

    @property
    def partial(self) -> bool:
        """Whether these are the newest alone."""
        return len(self.runs.runs) < self.runs.found

    def made_since(self, before: "RunsSeen") -> list[Listed]:
        """The runs made meanwhile, oldest first; not what another filter brings in."""
        if not before.runs.runs or self.runs.total <= before.runs.total:
            return []
        newest = max(one.run.id for one in before.runs.runs)
        return sorted((one for one in self.runs.runs if one.run.id > newest), key=lambda one: one.run.id)
