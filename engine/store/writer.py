"""The one thread of a worker that writes: everything queued goes into one transaction, a few times a second."""

import contextlib
import math
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from engine.errors import QcrdError
from engine.store.connect import explain, open_writer

T = TypeVar("T")
One = TypeVar("One")
Row = Sequence[Any]

DELAY = 0.2
"""Seconds that rows may wait for company before they are committed."""
COMPANY = 0.01
"""Seconds that a call may wait at least where many come at once: a commit takes the CPU time of five requests' rows."""
MOST_COMPANY = 0.1
"""Seconds that it may wait at most, as long as others keep Python's lock or the core from the writer: they have work
then, so that nobody stands idle while calls wait, and fewer commits leave them more of the core."""
LATE = 0.001
"""Seconds that the writer wakes late by, where they do."""
BATCH_ROWS = 20_000
"""Rows that are committed without waiting for more."""
QUEUE_ROWS = 200_000
"""Rows that may wait; whoever adds more waits too."""
LOCK_SECONDS = 120.0
"""How long another program may hold the database's lock before the writer gives up."""
FATAL = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_NOTADB,
)
"""Primary codes after which the transaction is lost, not the statement alone."""


@dataclass(frozen=True, slots=True)
class _Item:
    """Something to do within a transaction; `future` is of those who wait for the commit."""

    act: Callable[[sqlite3.Connection], Any]
    rows: int
    future: "Future[Any] | None" = None
    together: Callable[[sqlite3.Connection, Sequence[Any]], Sequence[Any]] | None = None
    """Does this and all others like it."""
    one: Any = None
    """What it is given of this."""


class Writer:
    """Writes rows in the order they were queued, from any number of threads, and commits them together.

    The first error is kept and raised by every later call, as a QcrdError with one line for the user; what was queued
    beside a statement that failed is still written. After a lost transaction (disk full) nothing more is written.
    """

    def __init__(self, path: Path) -> None:
        """Opens (creates, migrates) the database. Raises as `open_writer` does."""
        self.path = path.absolute()
        self._conn = open_writer(path, checkpoints=True)
        self._inode = _inode(self.path)
        self._items: deque[_Item] = deque()
        self._rows = 0
        self._due = self._latest = math.inf  # when what waits is written, unless others have work; at the latest
        self._company = False  # whether something waits that may wait longer then
        self._closing = False
        self._error: QcrdError | None = None
        self._dead = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="qcrd-writer", daemon=True)
        self._thread.start()

    def execute(self, sql: str, params: Row | Mapping[str, Any] = ()) -> None:
        """Queue one statement."""
        self._put(_Item(lambda conn: conn.execute(sql, params), 1), DELAY)

    def many(self, sql: str, rows: Sequence[Row]) -> None:
        """Queue one statement for many rows, not to be changed afterwards: all are written or, where it fails, none."""
        if rows:
            self._put(_Item(lambda conn: conn.executemany(sql, rows), len(rows)), DELAY)

    def call(self, function: Callable[[sqlite3.Connection], T]) -> "Future[T]":
        """Run `function` in the next transaction, at once; the future has its result when that is committed.

        What it raises goes to the future alone, and what it had written is taken back. It must not commit, and may be
        run a second time.
        """
        future: Future[T] = Future()
        self._put(_Item(function, 1, future), 0.0)
        return future

    def together(self, function: Callable[[sqlite3.Connection, Sequence[One]], Sequence[T]], one: One) -> "Future[T]":
        """As `call`, for what others like it come beside within milliseconds: it waits for them, and `function` is
        given all of a transaction at once and gives a result for each."""
        future: Future[T] = Future()
        self._put(_Item(lambda conn: function(conn, [one])[0], 1, future, function, one), COMPANY, MOST_COMPANY)
        return future

    def flush(self) -> None:
        """Return when everything queued so far is committed; raise the writer's error if it has one."""
        self.call(lambda conn: None).result()
        self._raise_error()

    def close(self) -> None:
        """Write what is queued, then close the connection; raise the writer's error if it has one. May be repeated."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._raise_error()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except QcrdError:
            if error is None:  # an error on its way out must not be hidden by this one
                raise

    def _put(self, item: _Item, within: float, most: float | None = None) -> None:
        """`within`: seconds after which what waits is written; at most `most`, while others have work."""
        with self._changed:
            while self._rows >= QUEUE_ROWS and self._error is None and not self._closing:
                self._changed.wait()
            self._raise_error()
            if self._closing:
                raise QcrdError(f"the writer of {self.path} is closed")
            self._items.append(item)
            self._rows += item.rows
            now = time.monotonic()
            self._latest = min(self._latest, now + (most or within))
            due = math.inf if most and self._company else now + within
            self._company = self._company or most is not None
            if due < self._due or self._rows >= BATCH_ROWS:
                self._due = min(due, self._due)
                self._changed.notify_all()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise type(self._error)(str(self._error)) from self._error  # anew: a traceback must not grow at each raise

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            if not batch:
                break
            if self._dead:
                self._refuse(batch)
            else:
                self._write(batch)
        self._conn.close()

    def _next_batch(self) -> list[_Item]:
        """Waits for items, then a little for company; empty when closing and all is written."""
        with self._changed:
            while not self._items and not self._closing:
                self._changed.wait()
            patience = COMPANY
            while not (self._closing or self._rows >= BATCH_ROWS):
                left = self._due - time.monotonic()
                if left <= 0:
                    break
                if not self._changed.wait(left) and time.monotonic() - self._due > LATE:
                    patience *= 2
                    self._due = min(time.monotonic() + patience, self._latest)
            batch = [_settled(item) for item in self._items]
            self._items.clear()
            self._rows = 0
            self._due = self._latest = math.inf
            self._company = False
            self._changed.notify_all()
            return batch

    def _write(self, batch: list[_Item]) -> None:
        failed: list[tuple[Future[Any], BaseException]] = []
        try:
            self._check_file()
            self._begin()
            try:
                done = self._all_at_once(batch)
            except Exception as error:
                if _is_fatal(error):
                    raise
                if self._conn.in_transaction:
                    self._conn.execute("ROLLBACK")
                self._begin()
                done = self._one_by_one(batch, failed)
            self._conn.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            self._dead = True
            self._fail(self._line(error))
            self._refuse(batch)
            with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                self._conn.execute("ROLLBACK")
            return
        for future, result in done:
            if future is not None:
                future.set_result(result)
        for future, reason in failed:
            future.set_exception(reason)

    def _all_at_once(self, batch: list[_Item]) -> list[tuple["Future[Any] | None", Any]]:
        """Everything in its order, but for those alike, which are done with the first of them."""
        alike: dict[Any, list[_Item]] = {}
        for item in batch:
            if item.together is not None:
                alike.setdefault(item.together, []).append(item)
        done: list[tuple[Future[Any] | None, Any]] = []
        for item in batch:
            if item.together is None:
                done.append((item.future, item.act(self._conn)))
            elif items := alike.pop(item.together, []):
                results = item.together(self._conn, [other.one for other in items])
                done += zip((other.future for other in items), results, strict=True)
        return done

    def _one_by_one(
        self, batch: list[_Item], failed: list[tuple["Future[Any]", BaseException]]
    ) -> list[tuple["Future[Any] | None", Any]]:
        """Each item within a savepoint of its own, which costs as much as a statement: only where one of them failed.

        Raises only what has lost the whole transaction.
        """
        done: list[tuple[Future[Any] | None, Any]] = []
        for item in batch:
            self._conn.execute("SAVEPOINT item")
            try:
                done.append((item.future, item.act(self._conn)))
            except Exception as error:  # passed on to whoever queued it
                if _is_fatal(error):
                    raise
                self._conn.execute("ROLLBACK TO item")
                if item.future is not None:
                    failed.append((item.future, error))
                else:
                    self._fail(self._line(error))
            self._conn.execute("RELEASE item")
        return done

    def _begin(self) -> None:
        """BEGIN IMMEDIATE, with patience for another program that holds the lock."""
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                self._conn.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise

    def _check_file(self) -> None:
        """SQLite itself would go on writing into a deleted file."""
        if _inode(self.path) != self._inode:
            raise QcrdError(
                f"{self.path} was deleted or replaced while a run was writing to it: put it back, then `qcrd resume`"
            )

    def _line(self, error: Exception) -> QcrdError:
        if isinstance(error, QcrdError):
            return error
        if isinstance(error, sqlite3.Error):
            return explain(error, self.path, "writing")
        return QcrdError(f"cannot write to {self.path}: {type(error).__name__}: {error}")

    def _fail(self, error: QcrdError) -> None:
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def _refuse(self, batch: list[_Item]) -> None:
        for item in batch:
            if item.future is not None and not item.future.done():
                assert self._error is not None
                item.future.set_exception(type(self._error)(str(self._error)))


def _settled(item: _Item) -> _Item:
    """From now on its future cannot be cancelled; where it was, the rows are written still: they may be paid for."""
    if item.future is None or item.future.set_running_or_notify_cancel():
        return item
    return replace(item, future=None)


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_fatal(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)  # absent where it is not SQLite's
    return code is not None and code & 0xFF in FATAL
