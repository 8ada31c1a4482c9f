"""Opening experiments.db: a reader that cannot write, a writer that creates and migrates; a failure is one line."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from engine.errors import NoDatabase, QcrdError, UsageError
from engine.store.filesystem import refuse_network_filesystem
from engine.store.schema.tables import APPLICATION_ID, SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
BUSY_SECONDS = 10.0
"""How long a connection waits for another's lock."""
STATEMENTS = 512
"""Kept compiled by a connection that writes: those for many rows differ in their number, and take as long to compile as
to run."""
NOT_OURS = "is a database of another program: name one of qcrd's with --db FILE or QCRD_DB=FILE"


def database_path(db: Path | None) -> Path:
    """The database to use: the argument, else the environment's QCRD_DB, else ./experiments.db."""
    if db is not None:
        return db
    return Path(os.environ.get("QCRD_DB") or "experiments.db")


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection whose rows are `sqlite3.Row`. It may be used from any thread, one at a time.

    Close it, or at least finish its cursors, soon: an open read transaction lets the write-ahead log grow.
    Raises UsageError where there is no qcrd database of the present schema version, QcrdError where it cannot be read.
    """
    if not path.exists():
        raise NoDatabase(
            f"no database at {path}: run `qcrd demo` or `qcrd run SPEC` here, or name one with --db FILE (or QCRD_DB)"
        )
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a database file with --db FILE or QCRD_DB=FILE")
    try:
        try:
            conn = _connect_reader(path, "mode=ro")
        except sqlite3.OperationalError as error:
            # A read-only folder has no room for WAL's shared memory; without a log, the file alone is the whole truth.
            log = Path(f"{path}-wal")
            no_room = _code(error) & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
            if not no_room or (log.exists() and log.stat().st_size):
                raise
            conn = _connect_reader(path, "mode=ro&immutable=1")
    except sqlite3.Error as error:
        raise explain(error, path, "reading") from error
    try:
        _require_version(conn, path, _version(conn))
    except BaseException:
        conn.close()
        raise
    return conn


def open_writer(path: Path, *, checkpoints: bool = False) -> sqlite3.Connection:
    """A connection that writes (explicit transactions: BEGIN IMMEDIATE); creates the file and migrates it as needed.

    `checkpoints`: copy the write-ahead log back as it grows: for a run's one writer; short-lived ones leave it alone.
    Raises QcrdError (network filesystem, read-only, disk full, locked) or UsageError (not a database of qcrd's).
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a database file with --db FILE or QCRD_DB=FILE")
    if not path.absolute().parent.is_dir():
        raise UsageError(
            f"there is no folder {path.absolute().parent} for the database: make it, or name another with --db"
        )
    refuse_network_filesystem(path)
    try:
        conn = sqlite3.connect(
            path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENTS,
        )
    except sqlite3.Error as error:
        raise explain(error, path, "opening") from error
    try:
        _prepare(conn, path, checkpoints)
    except sqlite3.Error as error:
        conn.close()
        raise explain(error, path, "opening") from error
    except BaseException:
        conn.close()
        raise
    return conn


def write(path: Path, function: "Callable[[sqlite3.Connection], T]") -> "T":
    """Run `function` in one transaction on a connection of its own."""
    with closing(open_writer(path)) as conn:
        try:
            conn.execute("BEGIN IMMEDIATE")
            try:
                result = function(conn)
                conn.execute("COMMIT")
            except BaseException:
                if conn.in_transaction:
                    conn.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise explain(error, path, "writing") from error
    return result


def schema_version(path: Path) -> int:
    """Of the database there, whatever it is of; 0: none of qcrd's. Raises QcrdError where it cannot be read."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as conn:
            return _version(conn)
    except sqlite3.Error as error:
        raise explain(error, path, "reading") from error


def explain(error: sqlite3.Error, path: Path, doing: str) -> QcrdError:
    """The one line for a person that an SQLite error amounts to. `doing`: "reading", "opening", "writing"."""
    code = _code(error) & 0xFF  # the low byte is the primary code
    if code == sqlite3.SQLITE_FULL:
        return QcrdError(f"disk full while {doing} {path}: free some space, then `qcrd resume` an interrupted run")
    if code == sqlite3.SQLITE_BUSY or code == sqlite3.SQLITE_LOCKED:
        return QcrdError(
            f"{path} is locked by another program (while {doing}): close what holds it open, then try again"
        )
    if code == sqlite3.SQLITE_NOTADB:
        return UsageError(f"{path} is not a database: name one with --db FILE or QCRD_DB=FILE")
    if code == sqlite3.SQLITE_CORRUPT:
        return QcrdError(f"{path} is damaged ({error}): copy it away with what lies beside it, then restore a backup")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        if doing == "reading":
            return QcrdError(f"cannot read {path} ({error}): check the permissions of the file and its folder")
        return QcrdError(
            f"cannot write to {path} ({error}): make the file and its folder writable, or name another with --db FILE"
        )
    if code == sqlite3.SQLITE_IOERR:
        return QcrdError(f"input/output error while {doing} {path} ({error}): check the disk and its free space")
    return QcrdError(f"database error while {doing} {path}: {error}")


def _prepare(conn: sqlite3.Connection, path: Path, checkpoints: bool) -> None:
    conn.row_factory = sqlite3.Row
    _require_ours_or_empty(conn, path)
    _enter_wal(conn, path)
    conn.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut: samples are paid for
    conn.execute(f"PRAGMA wal_autocheckpoint = {1000 if checkpoints else 0}")  # pages
    conn.execute(f"PRAGMA journal_size_limit = {64 << 20}")
    version = _version(conn)
    if version > SCHEMA_VERSION:
        _require_version(conn, path, version)
    if version < SCHEMA_VERSION:
        from engine.store.schema.migrations import migrate  # loads sqlite-utils

        conn.execute("BEGIN IMMEDIATE")
        try:
            if _version(conn) < SCHEMA_VERSION:  # another process may have been faster
                migrate(conn)
            conn.execute("COMMIT")
        except BaseException:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
            raise
    conn.execute("PRAGMA foreign_keys = ON")  # now: a migration that takes away rows would look for children of each


def _enter_wal(conn: sqlite3.Connection, path: Path) -> None:
    """WAL for good. Two processes that create a file at once can see "locked" here in spite of the busy timeout."""
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            mode = conn.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if _code(error) & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.02)
            continue
        if mode != "wal":
            raise QcrdError(f"{path} cannot use SQLite's write-ahead log here: put it on a local disk with --db FILE")
        return


def _connect_reader(path: Path, options: str) -> sqlite3.Connection:
    conn = sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        conn.row_factory = sqlite3.Row
        conn.execute("PRAGMA query_only = ON")
        _version(conn)  # the first read is where opening fails
    except BaseException:
        conn.close()
        raise
    return conn


def _require_version(conn: sqlite3.Connection, path: Path, version: int) -> None:
    tables = _require_ours_or_empty(conn, path)
    if version > SCHEMA_VERSION:
        raise UsageError(
            f"{path} was written by a newer qcrd (schema version {version}, this one knows {SCHEMA_VERSION}): "
            "upgrade qcrd, or name another database with --db FILE"
        )
    if version == 0 or not tables:
        raise NoDatabase(f"{path} is empty: run `qcrd demo` or `qcrd run SPEC` here, or name another with --db FILE")
    if version < SCHEMA_VERSION:
        raise UsageError(
            f"{path} has schema version {version}, older than this qcrd's {SCHEMA_VERSION}: `qcrd upgrade` makes it "
            "readable, as does the next run in it"
        )


def _require_ours_or_empty(conn: sqlite3.Connection, path: Path) -> int:
    """The number of tables and views; UsageError where there are some and another program made them."""
    tables = int(conn.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if tables and int(conn.execute("PRAGMA application_id").fetchone()[0]) != APPLICATION_ID:
        raise UsageError(f"{path} {NOT_OURS}")
    return tables


def _version(conn: sqlite3.Connection) -> int:
    return int(conn.execute("PRAGMA user_version").fetchone()[0])


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", None) or 0)
