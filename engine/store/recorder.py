"""What a worker says about its run, in verbs; all of it queued through the one writer.

Every row has a key that a resumed run gives again, so that saying a thing twice leaves one row.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import UsageError
from engine.evaluation.intervals import wilson
from engine.evaluation.sampled import Sampled
from engine.records import Dataset, Prediction, Rationale, Visit, Voted, all_rationales
from engine.store import rows
from engine.store.runs import stages as run_stages
from engine.store.texts import storable
from engine.store.writer import Writer

CHUNK = 5_000
"""Rows in one statement for many; between two of them other threads' rows get in."""
MINE = " AND NOT EXISTS (SELECT 1 FROM sessions WHERE run_id = :run AND id > :session)"
"""A process that slept while another took its run over must not speak for it any more."""


class Recorder:
    """The verbs of one run."""

    def __init__(self, writer: Writer, run_id: int) -> None:
        self.writer = writer
        self.run_id = run_id
        self._session = 0
        self._series: dict[str, int] = {}

    # the run and its process

    def start_session(self, pid: int, host: str, step: int) -> int:
        """Say which process works on the run, from which step on; gives the id of the session that `claim` began."""
        now = time.time()

        def start(conn: Any) -> int:
            row = conn.execute(
                "SELECT id, pid, host, outcome FROM sessions WHERE run_id = ? ORDER BY id DESC LIMIT 1", (self.run_id,)
            ).fetchone()
            if row is not None and (row["pid"], row["host"], row["outcome"]) == (pid, host, None):
                conn.execute("UPDATE sessions SET first_step = ?, last_at = ? WHERE id = ?", (step, now, row["id"]))
                return int(row["id"])
            made = conn.execute(
                "INSERT INTO sessions (run_id, pid, host, started_at, last_at, first_step) VALUES (?, ?, ?, ?, ?, ?)",
                (self.run_id, pid, host, now, now, step),
            )
            return int(made.lastrowid)

        self._session = self.writer.call(start).result()
        return self._session

    def heartbeat(self, session_id: int) -> None:
        """Say that the process lives: every few seconds, `schema.views.STALE_AFTER` at the latest."""
        now = time.time()
        self.writer.execute("UPDATE sessions SET last_at = ? WHERE id = ?", (now, session_id))
        self._of_run("heartbeat_at = :now", now=now)

    def end_session(self, session_id: int, outcome: str) -> None:
        """Say how the process ended: done, failed or interrupted."""
        self.writer.execute(
            "UPDATE sessions SET last_at = ?, outcome = ? WHERE id = ?", (time.time(), outcome, session_id)
        )

    def status(self, status: str, error: str | None = None) -> None:
        """Set the run's status, and the one line of its error (None clears it)."""
        now = time.time()
        line = None if error is None else storable(error)
        if status in ("done", "failed", "interrupted"):
            self._of_run("status = :status, error = :error, ended_at = :now", status=status, error=line, now=now)
        else:
            self._of_run(
                "status = :status, error = :error, ended_at = NULL, heartbeat_at = :now,"
                " started_at = coalesce(started_at, CASE WHEN :status = 'queued' THEN NULL ELSE :now END)",
                status=status,
                error=line,
                now=now,
            )

    def progress(self, step: int, iteration: int) -> None:
        """Say how far training is."""
        self._of_run("step = :step, iteration = :iteration", step=step, iteration=iteration)

    def iterations(self, count: int) -> None:
        """Say how many iterations there are, once it is known."""
        self._of_run("iterations = :iterations", iterations=count)

    def steps(self, count: int) -> None:
        """Say how many steps there are, where the spec does not."""
        self._of_run("steps = :steps", steps=count)

    def declare_stages(self, stages: Sequence[tuple[str, str]]) -> None:
        """Name the run's stages, in order, each with the unit it is counted in. A resumed run keeps the state of those
        that it has, and shows no others."""
        self.writer.call(lambda conn: run_stages.declare(conn, self.run_id, stages)).result()

    def stage(self, name: str, *, state: str | None = None, done: int | None = None, total: int | None = None) -> None:
        """Update a declared stage: state is waiting, running, done or failed; what is None stays as it was."""
        self.writer.execute(
            run_stages.UPDATE + (MINE if self._session else ""),
            {
                "session": self._session,
                "run": self.run_id,
                "name": name,
                "state": state,
                "done": done,
                "total": total,
                "now": time.time(),
            },
        )

    def log_time(self, stage: str) -> None:
        """A line of the log: how long all processes of the run together have worked on a stage that is done."""
        self.writer.execute(run_stages.TOOK, (time.time(), self.run_id, stage))

    def provenance(self, facts: Mapping[str, str]) -> None:
        """Store what made the run: code, machine, data."""
        self.writer.many(
            "INSERT OR REPLACE INTO provenance (run_id, key, value) VALUES (?, ?, ?)",
            [(self.run_id, key, storable(value)) for key, value in facts.items()],
        )

    def log(self, level: str, message: str, stage: str = "", detail: str | None = None) -> None:
        """A line of the run's log: level is debug, info, warning or error; `detail` holds a traceback."""
        self.writer.execute(
            "INSERT INTO logs (run_id, at, level, stage, message, detail) VALUES (?, ?, ?, ?, ?, ?)",
            (self.run_id, time.time(), level, stage, storable(message), detail and storable(detail)),
        )

    # what the stages found

    def dataset(self, dataset: Dataset) -> None:
        """Store the examples, once for all runs on the same data. Raises UsageError where two have the same id."""
        seen: dict[str, str] = {}
        found: list[rows.Row] = []
        for split, examples in dataset.splits.items():
            for example in examples:
                if example.id in seen:
                    raise UsageError(
                        f"dataset {dataset.name}: the id {example.id!r} is used twice"
                        f" (in {seen[example.id]} and {split}): give every example its own"
                    )
                seen[example.id] = split
                found.append(rows.example(dataset.hash, split, example))
        self.writer.execute("INSERT OR IGNORE INTO datasets (hash, name) VALUES (?, ?)", (dataset.hash, dataset.name))
        self._many(rows.EXAMPLE, found)
        self.writer.execute(
            "INSERT OR REPLACE INTO run_datasets (run_id, dataset_id) SELECT ?, id FROM datasets WHERE hash = ?",
            (self.run_id, dataset.hash),
        )

    def votes(
        self,
        voted: Sequence[Voted],
        followed: set[str],
        correct: Mapping[str, bool | None] | None = None,
    ) -> None:
        """Store the vote of each training example, in order, and all its rationales.

        `correct`: by example id, whether the vote matches the gold answer; None or absent where it cannot be told.
        """
        right = correct or {}
        self._many(
            rows.VOTE,
            [
                rows.vote(self.run_id, position, v, right.get(v.example.id), v.example.id in followed)
                for position, v in enumerate(voted)
            ],
        )
        self.rationales(all_rationales(voted))

    def rationales(self, rationales: Sequence[Rationale]) -> None:
        """Store rationales by number, each text once."""
        self._texts([r.text for r in rationales])
        self._many(rows.RATIONALE, [rows.rationale(self.run_id, r) for r in rationales])

    def visits(self, step: int, iteration: int, visits: Sequence[Visit]) -> None:
        """Store what a training step made of the rationales it saw: of all the last visit, of followed ones each."""
        found = [rows.visit(self.run_id, step, iteration, v) for v in visits]
        self._many(rows.LAST_VISIT, found)
        self._many(rows.VISIT, [row for row, v in zip(found, visits, strict=True) if v.followed])

    def points(self, step: int, values: Mapping[str, float]) -> None:
        """Store metrics at a step. What is not a number is stored as such."""
        new = [name for name in values if name not in self._series]
        if new:
            self._series |= self.writer.call(lambda conn: self._series_ids(conn, new)).result()
        now = time.time()
        points = [rows.point(self._series[name], step, float(value), now) for name, value in values.items()]
        self.writer.many(rows.POINT, points)

    def predictions(self, split: str, head: str, step: int, predictions: Sequence[Prediction]) -> None:
        """Store what the student answered: split is followed, validation, test or unseen; head predict or explain."""
        self._texts([p.text for p in predictions])
        self._many(rows.PREDICTION, [rows.prediction(self.run_id, split, head, step, p) for p in predictions])

    def sampled(self, split: str, head: str, step: int, sampled: Mapping[str, Sampled]) -> None:
        """Store, by example, what of several sampled answers is right."""
        self._many(rows.SAMPLED, [rows.sampled(self.run_id, split, x, head, step, s) for x, s in sampled.items()])

    def score(
        self,
        split: str,
        who: str,
        head: str,
        step: int,
        correct: float,
        total: int,
        interval: tuple[float, float] | None = None,
    ) -> None:
        """Store an accuracy with its 95 % interval, Wilson's unless given; nothing where `total` is 0.

        A `correct` that is no whole number (a sum of the questions' shares) needs an interval of its own.
        """
        if total == 0:
            return
        low, high = interval or wilson(int(correct), total)
        row = (self.run_id, split, who, head, step, correct, total, correct / total, low, high)
        self.writer.execute(rows.SCORE, row)

    def fact(self, stage: str, name: str, value: float | None) -> None:
        """Store something a stage counted or measured."""
        self.writer.execute(
            "INSERT OR REPLACE INTO facts (run_id, stage, name, value) VALUES (?, ?, ?, ?)",
            (self.run_id, stage, name, value),
        )

    # going on and going back

    def forget_answers(self, split: str) -> None:
        """Forget what an interrupted evaluation of the split has left: the next may be of another checkpoint."""
        for table in ("predictions", "sampled_answers", "scores"):
            self.writer.execute(f"DELETE FROM {table} WHERE run_id = ? AND split = ?", (self.run_id, split))

    def rewind(self, step: int, number: int | None = None) -> None:
        """Forget what lies beyond a checkpoint at `step`: metrics, visits, predictions, the student's scores.

        `number`: also the student's own rationales from that number on. Returns when it is committed.
        """
        run = self.run_id

        def forget(conn: Any) -> None:
            conn.execute(
                "DELETE FROM points WHERE series_id IN (SELECT id FROM series WHERE run_id = ?) AND step > ?",
                (run, step),
            )
            for table in ("visits", "last_visits", "predictions", "sampled_answers", "scores"):
                conn.execute(f"DELETE FROM {table} WHERE run_id = ? AND step > ?", (run, step))
            if number is not None:
                conn.execute(
                    "DELETE FROM rationales WHERE run_id = ? AND number >= ? AND source IN ('self', 'fixed')",
                    (run, number),
                )

        self.writer.call(forget).result()

    def flush(self) -> None:
        """Return when all that was said is committed; raise the writer's error if it has one."""
        self.writer.flush()

    def _of_run(self, change: str, **values: Any) -> None:
        self.writer.execute(
            f"UPDATE runs SET {change} WHERE id = :run" + (MINE if self._session else ""),
            {"run": self.run_id, "session": self._session, **values},
        )

    def _many(self, sql: str, found: Sequence[rows.Row]) -> None:
        for at in range(0, len(found), CHUNK):
            self.writer.many(sql, found[at : at + CHUNK])

    def _texts(self, texts: Sequence[str]) -> None:
        self._many(rows.TEXT, [rows.text(text) for text in dict.fromkeys(texts)])

    def _series_ids(self, conn: Any, names: Sequence[str]) -> dict[str, int]:
        conn.executemany("INSERT OR IGNORE INTO series (run_id, name) VALUES (?, ?)", [(self.run_id, n) for n in names])
        found = conn.execute("SELECT name, id FROM series WHERE run_id = ?", (self.run_id,)).fetchall()
        return {row["name"]: row["id"] for row in found}
