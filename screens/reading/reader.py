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
from typing import Any, Literal, Protocol

from engine.errors import NoDatabase, QcrdError
from engine.store.connect import explain, open_reader
from screens.keys.table import key_of

POLL = 0.25
"""Seconds between two looks, where nobody wants fewer."""
REST = 20
"""Times that a drawing took, until the next look."""
SLOWEST = 1.0
"""Seconds between two looks at most, however long a drawing took."""
UNDRAWN = 0.5
"""Seconds at most that what was read at once has for being drawn, before more of it is read."""
BUSY_MS = 2000
"""Milliseconds to wait for a lock before saying that the database is locked."""


class Watch(Protocol):
    """What a screen wants to see: a frozen dataclass of its own, equal to another where the same is wanted."""

    def read(self, con: sqlite3.Connection, kept: dict[str, Any]) -> Any:
        """What there is to see, as an immutable value, on the reader's thread and in one read transaction.

        `kept` lasts as long as the connection: what need not be read again; `kept["more"] = True` where this is only
        what could be read at once, and the watch wants to read again.
        """

    def at(self, content: Any, now: float) -> Any:
        """What was read, as it is now: a heartbeat grows old without anything being written."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nobody looks."""

    def read(self, con: sqlite3.Connection, kept: dict[str, Any]) -> None:
        """Nothing."""

    def at(self, content: None, now: float) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The answer to a Watch."""

    watch: Watch
    content: Any = None
    """What the watch read; None: nothing could be read yet."""
    problem: str | None = None
    """Why nothing (or nothing newer) can be read: one line with what to do."""
    absent: bool = False
    """There is no database yet, or nothing in it: a run will make it."""


@dataclass(frozen=True, slots=True)
class Said:
    """What became of something asked for."""

    text: str
    severity: Literal["information", "warning", "error"] = "information"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a screen asked for."""

    place: str
    """The screen's name in the table of keys."""
    result: Any


Job = Callable[["Reader"], "Said | Answer | None"]
"""None: nothing to say."""


class Reader:
    """One thread, one connection. `watch` says what to look at, `do` runs a job there; `post` gets every result."""

    def __init__(
        self, database: Path, post: Callable[[Snapshot | Said | Answer], object], clock: Callable[[], float] = time.time
    ) -> None:
        self.database = database
        self._post = post
        self._clock = clock
        self._watch: Watch = Nothing()
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopped = False
        self._con: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._seen = False
        self._version: int | None = None
        self._content = Snapshot(Nothing())
        self._kept: dict[str, Any] = {}
        self._more_at = 0.0
        """When more of what was read at once is read."""
        self.pause = POLL
        """Seconds between two looks."""
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
        if self._thread.is_alive():  # it is not where the console could not even begin
            self._thread.join(timeout=2)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def watch(self, watch: Watch) -> None:
        """Look at this from now on, at once."""
        if watch != self._watch:
            self._watch = watch
            self._wake.set()

    def pace(self, least: float, drawn: float) -> None:
        """What took so many seconds to be drawn is drawn less often: a key must not wait behind it at every turn."""
        self.pause = max(least, min(SLOWEST, REST * drawn))
        if self._kept.get("more"):
            self._more_at = 0.0
            self._wake.set()

    def do(self, job: Job) -> None:
        """Run a job on the thread; its result is posted, and a QcrdError's line in its place."""
        self._jobs.put(job)
        self._wake.set()

    def read(self, read: Callable[[sqlite3.Connection, dict[str, Any]], Any]) -> Any:
        """For a job: what `read` finds in one read transaction."""
        con = self._connect()
        con.execute("BEGIN")
        try:
            return read(con, self._kept)
        finally:
            con.execute("ROLLBACK")

    def _run(self) -> None:
        last: Snapshot | None = None
        while not self._stopped:
            while not self._jobs.empty() and not self._stopped:
                self._work(self._jobs.get())
            snapshot = self._look()
            if snapshot != last and not self._stopped:
                last = snapshot
                self._post(snapshot)
            self._wake.wait(UNDRAWN if self._kept.get("more") else self.pause)
            self._wake.clear()
        self._close()

    def _work(self, job: Job) -> None:
        result: Said | Answer | None
        try:
            result = job(self)
        except sqlite3.Error as error:
            result = Said(str(explain(error, self.database, "writing")), "error")
        except (QcrdError, OSError) as error:
            result = Said(str(error), "error")
        if result is not None and not self._stopped:
            self._post(result)

    def _look(self) -> Snapshot:
        watch = self._watch
        try:
            con = self._connect()
            version = int(con.execute("PRAGMA data_version").fetchone()[0])
            more = self._kept.get("more") and time.monotonic() >= self._more_at
            if version != self._version or watch != self._content.watch or more:
                self._kept["more"] = False
                self._content = Snapshot(watch, self.read(watch.read))
                self._version = version
                self._more_at = time.monotonic() + UNDRAWN
            self._content = replace(self._content, problem=None, absent=False)
        except QcrdError as error:
            self._forget(watch, str(error), absent=isinstance(error, NoDatabase))
        except sqlite3.Error as error:
            self._forget(watch, str(explain(error, self.database, "reading")))
        except OSError as error:
            self._forget(watch, f"cannot read {self.database}: {error.strerror}")
        return self._with_clock(self._content)

    def _forget(self, watch: Watch, problem: str, *, absent: bool = False) -> None:
        """Keep what was read for this view, with the reason why it does not move; connect anew next time."""
        kept = self._content if self._content.watch == watch else Snapshot(watch)
        self._content = replace(kept, problem=problem, absent=absent)
        self._close()

    def _with_clock(self, snapshot: Snapshot) -> Snapshot:
        if snapshot.content is None:
            return snapshot
        return replace(snapshot, content=snapshot.watch.at(snapshot.content, self._clock()))

    def _connect(self) -> sqlite3.Connection:
        """The open connection, made anew where the file is another one than before."""
        try:
            stat = self.database.stat()
        except FileNotFoundError:
            if not self._seen:
                open_reader(self.database)  # says what to do
            raise QcrdError(
                f"{self.database} is gone: the console waits for it to come back, {key_of('all.quit')} leaves"
            ) from None
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
        self._con = self._file = self._version = None
        self._kept = {}


def _decode(raw: bytes) -> str:
    # a text that is not UTF-8 must not end the console
    return raw.decode("utf-8", "replace")
