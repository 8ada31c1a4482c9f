"""SQL that a person typed, run so that it can only read: no file, setting or row of theirs can change by it."""

import difflib
import re
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UsageError
from engine.store.connect import explain, open_reader

MAX_SQL = 100_000
"""Characters of a statement."""
MAX_VALUE = 64 << 20
"""Bytes of one text or blob that a query may make."""
CHECK_EVERY = 10_000
"""Instructions of SQLite's machine between two looks at the clock."""
ALLOWED = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE))
READABLE_PRAGMAS = frozenset(
    ("table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list")
)
"""What only describes the schema."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a query found."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool
    """There were more rows than asked for, or more bytes."""
    seconds: float = 0.0
    """That it took."""


def query(
    path: Path,
    sql: str,
    *,
    limit_rows: int = 1000,
    seconds: float = 10.0,
    limit_bytes: int | None = None,
    stop: threading.Event | None = None,
) -> Result:
    """Run one reading statement on the database: at most so many rows and bytes of text, for at most so long.

    `stop`, set by another thread, ends it within a moment. Raises UsageError, one line with what to do, for anything
    but one statement that reads, for what SQLite refuses, and where it was stopped or ran too long.
    """
    if len(sql) > MAX_SQL:
        raise UsageError(f"the query has {len(sql)} characters, more than {MAX_SQL}: shorten it")
    if not _has_statement(sql):
        raise UsageError('the query is empty: try "SELECT * FROM run_summary"')
    conn = open_reader(path)
    begun = time.monotonic()
    late = stopped = False

    def is_over() -> bool:
        nonlocal late, stopped
        late = time.monotonic() > begun + seconds
        stopped = stop is not None and stop.is_set()
        return late or stopped

    try:
        conn.row_factory = None
        conn.text_factory = _decode
        for name in READABLE_PRAGMAS:  # their first use as a table seems to write the schema, which is refused below
            conn.execute(f"SELECT 1 FROM pragma_{name}('runs')").close()
        conn.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
        conn.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000)  # matching one is not interrupted by the clock
        conn.set_authorizer(_authorize)
        conn.set_progress_handler(is_over, CHECK_EVERY)
        cursor = conn.execute(sql)
        rows, truncated = _fetch(cursor, limit_rows, limit_bytes)
        columns = tuple(column[0] for column in cursor.description or ())
        cursor.close()
    except (sqlite3.Error, sqlite3.Warning) as error:
        if stopped:
            raise UsageError("the query was stopped") from error
        if late:
            raise UsageError(
                f"the query ran longer than {seconds:g} s and was stopped: narrow it, e.g. with WHERE run_id = …"
            ) from error
        raise _explain(error, path) from error
    except (
        OverflowError,
        UnicodeEncodeError,
        ValueError,
    ) as error:  # a NUL, half a surrogate: Python refuses to send it
        raise UsageError(f"the query cannot be read: {error}") from error
    except MemoryError as error:
        raise UsageError("the query's result does not fit in memory: ask for fewer rows or columns") from error
    finally:
        conn.close()
    return Result(columns, rows, truncated, time.monotonic() - begun)


def _fetch(cursor: sqlite3.Cursor, limit_rows: int, limit_bytes: int | None) -> tuple[list[tuple[Any, ...]], bool]:
    """The first rows, as many as the limits allow, and whether there are more."""
    if limit_bytes is None:
        rows = cursor.fetchmany(limit_rows + 1)
        return rows[:limit_rows], len(rows) > limit_rows
    rows, held = [], 0
    while (row := cursor.fetchone()) is not None:
        held += sum(len(value) for value in row if isinstance(value, str | bytes))
        if len(rows) == limit_rows or (rows and held > limit_bytes):
            return rows, True
        rows.append(row)
    return rows, False


def _decode(raw: bytes) -> str:
    # a text that is not UTF-8 is shown with marks, and no reason to refuse its row
    return raw.decode("utf-8", "replace")


def _authorize(action: int, first: str | None, second: str | None, _database: str | None, _source: str | None) -> int:
    """Called by SQLite while it compiles the statement, for each thing that it would do."""
    if action == sqlite3.SQLITE_PRAGMA:
        # the full-text index asks for data_version before each search
        return sqlite3.SQLITE_OK if first in READABLE_PRAGMAS or first == "data_version" else sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and second is not None:
        dangerous = second.lower() in ("load_extension", "fts3_tokenizer", "writefile", "readfile", "edit")
        return sqlite3.SQLITE_DENY if dangerous else sqlite3.SQLITE_OK
    return sqlite3.SQLITE_OK if action in ALLOWED else sqlite3.SQLITE_DENY


def _explain(error: sqlite3.Error | sqlite3.Warning, path: Path) -> Exception:
    message = " ".join(str(error).split())
    if re.search("not authorized|authorization denied|prohibited|readonly|too many attached", message):
        return UsageError(f"a query can only read ({message}): use SELECT, or sqlite3 on a copy of {path}")
    if "one statement at a time" in message:  # a sqlite3.Warning before Python 3.12
        return UsageError("the query has several statements: give one at a time")
    if missing := re.search(r"no such (table|column|function): (.+)", message):
        near = _nearest(path, missing[1], missing[2])
        return UsageError(f"{message}: {near}")
    if isinstance(error, sqlite3.OperationalError | sqlite3.ProgrammingError | sqlite3.DataError | sqlite3.Warning):
        if isinstance(error, sqlite3.OperationalError) and _is_of_the_file(error):
            return explain(error, path, "reading")
        return UsageError(f"the query is not understood: {message}")
    return explain(error, path, "reading") if isinstance(error, sqlite3.Error) else UsageError(message)


def _is_of_the_file(error: sqlite3.OperationalError) -> bool:
    return getattr(error, "sqlite_errorcode", 1) & 0xFF not in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_INTERRUPT)


def _nearest(path: Path, kind: str, name: str) -> str:
    """The nearest name that there is, or where to look for one."""
    if kind == "function":
        return "SQLite has no such function, see sqlite.org/lang_corefunc.html"
    conn = open_reader(path)
    try:
        tables = [row["name"] for row in conn.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")]
        known = tables
        if kind == "column":
            known = sorted(
                {r["name"] for t in tables for r in conn.execute(f'SELECT name FROM pragma_table_info("{t}")')}
            )
    finally:
        conn.close()
    near = difflib.get_close_matches(name.rpartition(".")[2].lower(), known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else "docs/schema.md lists tables, views and columns"


def _has_statement(sql: str) -> bool:
    """Whether anything is left without comments, blanks and semicolons."""
    return bool(re.sub(r"--[^\n]*|/\*.*?(\*/|$)|[\s;]", "", sql, flags=re.DOTALL))
