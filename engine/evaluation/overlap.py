"""Which test questions two runs solve: together, alone, and how much of either's the other solves too."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from engine.store.runs.results import paired_verdicts


@dataclass(frozen=True, slots=True)
class Overlap:
    """Of one head of two runs, on the test questions that both answered."""

    first: int
    """A run's id."""
    second: int
    head: str
    questions: int
    both: int
    """The intersection: questions that both got right."""
    first_alone: int
    second_alone: int

    @property
    def union(self) -> int:
        """Questions that at least one got right."""
        return self.both + self.first_alone + self.second_alone

    @property
    def iou(self) -> float | None:
        """Intersection over union; None where neither got one right."""
        return overlap(self.both, self.first_alone, self.second_alone)


def overlap(both: int, first_alone: int, second_alone: int) -> float | None:
    """Intersection over union of solved questions (arXiv 2312.12832, table 1)."""
    union = both + first_alone + second_alone
    return both / union if union else None


def overlaps(conn: sqlite3.Connection, run_ids: Sequence[int]) -> list[Overlap]:
    """Every pair of the runs, each head that both have; pairs asked other questions are missing."""
    found = []
    for first, second in combinations(run_ids, 2):
        for head in ("explain", "predict"):
            table = paired_verdicts(conn, first, second, head)
            if table is not None and (total := sum(table)):
                both, first_alone, second_alone, _ = table
                found.append(Overlap(first, second, head, total, both, first_alone, second_alone))
    return found
