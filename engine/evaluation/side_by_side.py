"""Two to eight runs beside each other: settings that differ, paired accuracies, and the questions they disagree on.

The first run is the one that the others are compared with. Questions are those of the test split, each run's last
evaluation of it. Light: the console reads it.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.evaluation.comparison import flat
from engine.evaluation.intervals import mcnemar, newcombe_paired
from engine.evaluation.overlap import overlap
from engine.store.runs.browse import RunRow, Score, read_run, read_scores
from engine.store.runs.curves import Curve, CurveReader
from engine.store.runs.results import SPLIT, paired_verdicts

MOST = 8
"""Runs beside each other."""
LISTED = 2000
"""Questions in the list of disagreements."""
TEXT_LENGTH = 20_000
"""Characters read of a student's text."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A run's accuracy minus the first's, of one head, on the questions that both answered."""

    value: float
    low: float
    high: float
    """95 %, Newcombe's for paired proportions."""
    p: float
    """McNemar's, exact."""
    questions: int
    alone: int
    """How many this run alone got right."""
    first_alone: int
    both: int
    """How many both got right."""

    @property
    def overlap(self) -> float | None:
        """Intersection over union of the questions that the two got right (arXiv 2312.12832, table 1)."""
        return overlap(self.both, self.alone, self.first_alone)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A test question that not all got right or wrong."""

    example: str
    question: str
    gold: str | None
    right: tuple[bool | None, ...]
    """By run; None: not asked."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the runs."""

    run: RunRow
    scores: tuple[Score, ...]
    """The student's on the test split."""
    curves: tuple[Curve, ...]
    differences: dict[str, Difference]
    """By head; empty for the first run, and where there are no questions that both answered."""


@dataclass(frozen=True, slots=True)
class SideBySide:
    """All of it at one moment."""

    sides: tuple[Side, ...]
    settings: tuple[tuple[str, tuple[str, ...]], ...]
    """Keys of the spec whose values differ, and each run's value."""
    disagreements: tuple[Disagreement, ...]
    """At most LISTED, by id."""
    disagreeing: int
    """How many there are."""
    asked: int
    """Test questions that all have answered."""


@dataclass(frozen=True, slots=True)
class Written:
    """What one student wrote to a question."""

    text: str
    length: int
    """Characters of the whole."""
    answer: str | None
    right: bool | None


class SideReader:
    """Reads the same runs again and again; what rests on their answers only when there are new ones."""

    def __init__(self, run_ids: Sequence[int], head: str) -> None:
        self.run_ids = tuple(run_ids)
        self.head = head
        self._curves = {run_id: CurveReader(run_id) for run_id in self.run_ids}
        self._known: tuple[Any, ...] = ()
        self._answers: tuple[list[dict[str, Difference]], tuple[Disagreement, ...], int, int] = ([], (), 0, 0)

    @property
    def sketchy(self) -> bool:
        """Whether of long curves only some points were read so far."""
        return any(curves.sketchy for curves in self._curves.values())

    def read(self, con: sqlite3.Connection) -> SideBySide | None:
        """The runs now; None where none of them is there."""
        runs = [run for run in (read_run(con, run_id) for run_id in self.run_ids) if run is not None]
        if not runs:
            return None
        ids = [run.id for run in runs]
        scores = [
            tuple(s for s in read_scores(con, i) if s.who.startswith("student") and s.split == SPLIT) for i in ids
        ]
        known = (tuple(ids), tuple(scores))
        if known != self._known:
            self._answers = (_differences(con, ids), *_disagreements(con, ids, self.head))
            self._known = known
        differences, listed, count, asked = self._answers
        sides = zip(runs, scores, differences, strict=True)
        return SideBySide(
            tuple(Side(run, score, self._curves[run.id].read(con), found) for run, score, found in sides),
            _settings(con, ids),
            listed,
            count,
            asked,
        )


def read_written(
    con: sqlite3.Connection, run_ids: Sequence[int], example: str, head: str
) -> tuple[Written | None, ...]:
    """What each run's student wrote to a test question at its last evaluation; None where it was not asked."""
    found: list[Written | None] = []
    for run_id in run_ids:
        row = con.execute(
            f"SELECT substr(t.text, 1, {TEXT_LENGTH}), length(t.text), p.answer, p.correct FROM predictions p"
            " JOIN texts t ON t.id = p.text_id WHERE p.run_id = ? AND p.split = ? AND p.example = ? AND p.head = ?"
            " ORDER BY p.step DESC LIMIT 1",
            (run_id, SPLIT, example, head),
        ).fetchone()
        found.append(None if row is None else Written(row[0], row[1], row[2], None if row[3] is None else bool(row[3])))
    return tuple(found)


def _differences(con: sqlite3.Connection, run_ids: Sequence[int]) -> list[dict[str, Difference]]:
    found: list[dict[str, Difference]] = []
    for run_id in run_ids:
        mine: dict[str, Difference] = {}
        for head in ("explain", "predict") if run_id != run_ids[0] else ():
            table = paired_verdicts(con, run_id, run_ids[0], head)
            if table is not None and (total := sum(table)):
                both, alone, first_alone, neither = table
                low, high = newcombe_paired(both, alone, first_alone, neither)
                mine[head] = Difference(
                    (alone - first_alone) / total,
                    low,
                    high,
                    mcnemar(alone, first_alone),
                    total,
                    alone,
                    first_alone,
                    both,
                )
        found.append(mine)
    return found


def _disagreements(
    con: sqlite3.Connection, run_ids: Sequence[int], head: str
) -> tuple[tuple[Disagreement, ...], int, int]:
    """(those listed, how many there are, how many questions all have answered), over runs of the same dataset."""
    first = con.execute("SELECT dataset_id FROM run_datasets WHERE run_id = ?", (run_ids[0],)).fetchone()
    if first is None:
        return (), 0, 0
    marks = ",".join("?" * len(run_ids))
    verdicts = (
        # with a lone max(), SQLite takes the other columns from the row that has it
        "SELECT p.example, p.run_id, p.correct, max(p.step) FROM predictions p"
        " JOIN run_datasets d ON d.run_id = p.run_id AND d.dataset_id = ?"
        f" WHERE p.run_id IN ({marks}) AND p.split = ? AND p.head = ? GROUP BY p.example, p.run_id"
    )
    by_example: dict[str, dict[int, bool | None]] = {}
    for example, run_id, correct, _ in con.execute(verdicts, (first[0], *run_ids, SPLIT, head)):
        by_example.setdefault(example, {})[run_id] = None if correct is None else bool(correct)
    asked = sum(len(found) == len(run_ids) and None not in found.values() for found in by_example.values())
    apart = sorted(e for e, found in by_example.items() if {True, False} <= set(found.values()))
    listed = []
    for example in apart[:LISTED]:
        row = con.execute(
            "SELECT substr(question, 1, 2000), answer FROM examples WHERE dataset_id = ? AND key = ?",
            (first[0], example),
        ).fetchone()
        question, gold = row or (example, None)
        listed.append(Disagreement(example, question, gold, tuple(by_example[example].get(i) for i in run_ids)))
    return tuple(listed), len(apart), asked


def _settings(con: sqlite3.Connection, run_ids: Sequence[int]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    specs = []
    for run_id in run_ids:
        (text,) = con.execute("SELECT spec FROM runs WHERE id = ?", (run_id,)).fetchone()
        spec = json.loads(text)
        specs.append({**({"seed": spec["seed"]} if "seed" in spec else {}), **flat(spec)})
    keys = list(dict.fromkeys(key for spec in specs for key in spec))
    written = {key: tuple(json.dumps(spec[key]) if key in spec else "–" for spec in specs) for key in keys}
    return tuple((key, values) for key, values in written.items() if len(set(values)) > 1)
