"""The thread that reads the database for the console, so that no screen ever waits for it.

It looks four times a second whether anything was committed (`PRAGMA data_version`), reads what the screen in front
needs, and posts one immutable snapshot if it differs from the last. Between looks it holds no transaction.
"""

import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from engine.errors import QcrdError
from engine.store.browse import Live, LiveReader, RunRow, Score, read_runs, read_scores, with_clock
from engine.store.connect import explain, open_reader
from engine.store.questions import Question, find_question, next_followed, read_keys, read_question

POLL = 0.25
"""Seconds between two looks."""
BUSY_MS = 2000
"""Milliseconds to wait for a lock before saying that the database is locked."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What the screen in front wants to see."""

    view: str = "runs"
    """runs, live or rationales."""
    run_id: int | None = None
    index: int | None = None
    """Place of the question in the training set; None: the first that is followed."""
    step: int | None = None
    """The visit of it; None: the last."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The answer to a Watch."""

    watch: Watch
    problem: str | None = None
    """Why nothing (or nothing newer) can be read: one line with what to do."""
    runs: tuple[RunRow, ...] | None = None
    scores: tuple[Score, ...] = ()
    """Of the run under the cursor."""
    live: Live | None = None
    question: Question | None = None
    questions: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """What became of something asked for."""

    text: str
    severity: Literal["information", "warning", "error"] = "information"


@dataclass(frozen=True, slots=True)
class Found:
    """Where a search led; None: nowhere."""

    run_id: int
    words: str
    index: int | None


Job = Callable[[], "Said | Found"]


class Reader:
    """One thread, one connection. `watch` says what to look at, `do` runs a job there; `post` gets every result."""

    def __init__(
        self, database: Path, post: Callable[[Snapshot | Said | Found], object], clock: Callable[[], float] = time.time
    ) -> None:
        self.database = database
        self._post = post
        self._clock = clock
        self._watch = Watch()
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopped = False
        self._con: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._seen = False
        self._version: int | None = None
        self._content = Snapshot(Watch(view=""))
        self._live: LiveReader | None = None
        self._keys: tuple[int, tuple[str, ...]] = (-1, ())
        self._thread = threading.Thread(target=self._run, name="console reader", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End within a moment, even in the middle of a long query."""
        self._stopped = True
        self._wake.set()
        con = self._con
        if con is not None:
            con.interrupt()
        self._thread.join(timeout=2)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def watch(self, watch: Watch) -> None:
        """Look at this from now on, at once."""
        self._watch = watch
        self._wake.set()

    def do(self, job: Job) -> None:
        """Run a job on the thread; its result is posted, and a QcrdError's line in its place."""
        self._jobs.put(job)
        self._wake.set()

    def find(self, run_id: int, after: int, words: str) -> Found:
        """A job: the next question that holds `words`."""
        con = self._connect()
        return Found(run_id, words, find_question(con, run_id, self._read_keys(con, run_id), after, words))

    def find_followed(self, run_id: int, after: int) -> Found:
        """A job: the next question that is followed."""
        con = self._connect()
        return Found(run_id, "", next_followed(con, run_id, self._read_keys(con, run_id), after))

    def _run(self) -> None:
        last: Snapshot | None = None
        while not self._stopped:
            while not self._jobs.empty() and not self._stopped:
                self._work(self._jobs.get())
            snapshot = self._look()
            if snapshot != last and not self._stopped:
                last = snapshot
                self._post(snapshot)
            self._wake.wait(POLL)
            self._wake.clear()
        self._close()

    def _work(self, job: Job) -> None:
        try:
            result = job()
        except sqlite3.Error as error:
            result = Said(str(explain(error, self.database, "writing")), "error")
        except (QcrdError, OSError) as error:
            result = Said(str(error), "error")
        if not self._stopped:
            self._post(result)

    def _look(self) -> Snapshot:
        watch = self._watch
        try:
            con = self._connect()
            version = int(con.execute("PRAGMA data_version").fetchone()[0])
            if version != self._version or watch != self._content.watch:
                self._content = self._read(con, watch)
                self._version = version
            self._content = replace(self._content, problem=None)
        except QcrdError as error:
            self._forget(watch, str(error))
        except sqlite3.Error as error:
            self._forget(watch, str(explain(error, self.database, "reading")))
        except OSError as error:
            self._forget(watch, f"cannot read {self.database}: {error.strerror}")
        return self._with_clock(self._content)

    def _forget(self, watch: Watch, problem: str) -> None:
        """Keep what was read for this view, with the reason why it does not move; connect anew next time."""
        kept = self._content if self._content.watch == watch else Snapshot(watch)
        self._content = replace(kept, problem=problem)
        self._close()

    def _with_clock(self, content: Snapshot) -> Snapshot:
        now = self._clock()
        if content.runs is not None:
            runs = tuple(with_clock(run, now) for run in content.runs)
            content = replace(content, runs=runs)
        if content.live is not None:
            content = replace(content, live=replace(content.live, run=with_clock(content.live.run, now)))
        return content

    def _read(self, con: sqlite3.Connection, watch: Watch) -> Snapshot:
        con.execute("BEGIN")
        try:
            if watch.view == "runs":
                scores = () if watch.run_id is None else read_scores(con, watch.run_id)
                return Snapshot(watch, runs=read_runs(con), scores=scores)
            if watch.run_id is None:
                return Snapshot(watch)
            if watch.view == "live":
                if self._live is None or self._live.run_id != watch.run_id:
                    self._live = LiveReader(watch.run_id)
                return Snapshot(watch, live=self._live.read(con))
            keys = self._read_keys(con, watch.run_id)
            index = watch.index
            if index is None:
                index = next_followed(con, watch.run_id, keys, -1) or 0
            question = read_question(con, watch.run_id, keys, index, watch.step)
            return Snapshot(watch, question=question, questions=len(keys))
        finally:
            con.execute("ROLLBACK")

    def _read_keys(self, con: sqlite3.Connection, run_id: int) -> tuple[str, ...]:
        known, keys = self._keys
        count = con.execute("SELECT count(*) FROM votes WHERE run_id = ?", (run_id,)).fetchone()[0]
        if known != run_id or count != len(keys):
            keys = read_keys(con, run_id)
            self._keys = (run_id, keys)
        return keys

    def _connect(self) -> sqlite3.Connection:
        """The open connection, made anew where the file is another one than before."""
        try:
            stat = self.database.stat()
        except FileNotFoundError:
            if not self._seen:
                open_reader(self.database)  # says what to do
            raise QcrdError(f"{self.database} is gone: the console waits for it to come back, q leaves") from None
        file = (stat.st_dev, stat.st_ino)
        if self._con is not None and file == self._file:
            return self._con
        self._close()
        con = open_reader(self.database)
        con.row_factory = None  # plain tuples
        con.text_factory = _decode
        con.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        self._con, self._file, self._seen = con, file, True
        return con

    def _close(self) -> None:
        if self._con is not None:
            self._con.close()
        self._con = self._file = self._version = self._live = None
        self._keys = (-1, ())


def _decode(raw: bytes) -> str:
    # a text that is not UTF-8 must not end the console
    return raw.decode("utf-8", "replace")
