"""What the reading commands ask of a run, as `sqlite3.Row`s. Texts are raw: clean them where they meet a terminal.

Every function takes an open reader and leaves no transaction behind. Rationales are in `rationales/queries.py`.
"""

import difflib
import sqlite3
import time
from typing import cast

from engine.errors import UsageError
from engine.store.runs.fields import SOURCE, find_field
from engine.store.runs.where import compile_where

Rows = list[sqlite3.Row]
FAILED = "questions failed"
"""The fact of the stage "sample" that says how many of its questions are done with fewer samples than asked for."""
WORKED = """CASE
    WHEN state = 'running' THEN seconds + max(0, coalesce(
        (SELECT max(s.last_at) FROM sessions s WHERE s.run_id = stages.run_id), started_at) - started_at)
    WHEN seconds = 0 AND ended_at IS NOT NULL THEN ended_at - started_at  -- of a version that did not count them
    ELSE seconds END"""
"""Of a row of stages: seconds that all processes together have worked on it."""


def find_run(conn: sqlite3.Connection, run: str | int) -> sqlite3.Row:
    """The row of `run_summary` for an id, a name (the newest of that name) or "last".

    Raises UsageError, with the nearest names, where there is none.
    """
    text = str(run).strip()
    if text == "last":
        row = conn.execute("SELECT * FROM run_summary ORDER BY id DESC LIMIT 1").fetchone()
        if row is None:
            raise UsageError("there is no run yet: `qcrd demo` or `qcrd run SPEC` makes one")
        return cast(sqlite3.Row, row)
    # SQLite's integers end at 63 bits; names that are numbers are found below
    if text.isascii() and text.isdigit() and len(text) < 19:
        row = conn.execute("SELECT * FROM run_summary WHERE id = ?", (int(text),)).fetchone()
        if row is not None:
            return cast(sqlite3.Row, row)
    row = conn.execute(
        "SELECT * FROM run_summary WHERE id = (SELECT max(id) FROM runs WHERE name = ?)", (text,)
    ).fetchone()
    if row is not None:
        return cast(sqlite3.Row, row)
    names = [r["name"] for r in conn.execute("SELECT name FROM runs GROUP BY name ORDER BY max(id) DESC LIMIT 5000")]
    near = difflib.get_close_matches(text, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "`qcrd runs` lists them"
    raise UsageError(f"there is no run {text!r}: {hint}")


def runs(
    conn: sqlite3.Connection,
    limit: int | None = None,
    where: str = "",
    sort: str = "",
    *,
    archived: bool = True,
    ascending: bool = False,
) -> Rows:
    """Runs as in `run_summary`: those that the filter lets through (`where.py`), the newest or greatest first.

    `sort`: by which field or setting; what is not known comes last. `archived`: those too that were put away; a filter
    that speaks of them decides by itself. Raises UsageError for a filter or a field that means nothing.
    """
    found = compile_where(conn, where)
    hidden = "" if archived or found.archived else " AND s.archived = 0"
    by = find_field(conn, sort).sql if sort else "r.id"
    order = f"({by}) IS NULL, {by} COLLATE NOCASE {'ASC' if ascending else 'DESC'}, r.id DESC"
    return conn.execute(
        f"SELECT s.* FROM {SOURCE} WHERE {found.sql}{hidden} ORDER BY {order} LIMIT :limit",
        found.parameters | {"now": time.time(), "limit": _limit(limit)},
    ).fetchall()


def stages(conn: sqlite3.Connection, run_id: int) -> Rows:
    """name, state, done, total, unit, started_at (by the last process), ended_at, seconds (of all); in order."""
    return conn.execute(
        f"SELECT name, state, done, total, unit, started_at, ended_at, {WORKED} AS seconds"
        " FROM stages WHERE run_id = ? ORDER BY position",
        (run_id,),
    ).fetchall()


def scores(conn: sqlite3.Connection, run_id: int, *, last: bool = True) -> Rows:
    """split, who, head, step, correct, total, accuracy, low, high; `last`: of each kind the last step's alone."""
    columns = "split, who, head, step, correct, total, accuracy, low, high"
    if last:
        sql = (
            f"SELECT {columns} FROM scores s WHERE run_id = ? AND step = (SELECT max(t.step) FROM scores t WHERE"
            " t.run_id = s.run_id AND t.split = s.split AND t.who = s.who AND t.head = s.head)"
            " ORDER BY split, who, head"
        )
    else:
        sql = f"SELECT {columns} FROM scores WHERE run_id = ? ORDER BY split, who, head, step"
    return conn.execute(sql, (run_id,)).fetchall()


def facts(conn: sqlite3.Connection, run_id: int, stage: str | None = None) -> Rows:
    """stage, name, value."""
    return conn.execute(
        "SELECT stage, name, value FROM facts WHERE run_id = ?1 AND (?2 IS NULL OR stage = ?2) ORDER BY stage, name",
        (run_id, stage),
    ).fetchall()


def provenance(conn: sqlite3.Connection, run_id: int) -> Rows:
    """key, value."""
    return conn.execute("SELECT key, value FROM provenance WHERE run_id = ? ORDER BY key", (run_id,)).fetchall()


def sessions(conn: sqlite3.Connection, run_id: int) -> Rows:
    """Each process that worked on the run, the first one first."""
    return conn.execute("SELECT * FROM sessions WHERE run_id = ? ORDER BY id", (run_id,)).fetchall()


def series_names(conn: sqlite3.Connection, run_id: int) -> list[str]:
    """The metrics that the run has points of."""
    return [r["name"] for r in conn.execute("SELECT name FROM series WHERE run_id = ? ORDER BY name", (run_id,))]


def metrics(conn: sqlite3.Connection, run_id: int, name: str | None = None, last: int | None = None) -> Rows:
    """name, step, value, special; by name and step; `last`: at most so many of each series, the latest.

    Raises UsageError, with the nearest names, where the run has no series of that name.
    """
    names = series_names(conn, run_id)
    if name is not None:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names[:8]
            hint = f"there are {', '.join(near)}" if near else "it has none yet"
            raise UsageError(f"run {run_id} has no metric {name!r}: {hint}")
        names = [name]
    found: Rows = []
    for each in names:
        newest = conn.execute(
            "SELECT name, step, value, special FROM metric_points WHERE run_id = ? AND name = ?"
            " ORDER BY step DESC LIMIT ?",
            (run_id, each, _limit(last)),
        ).fetchall()
        found.extend(reversed(newest))
    return found


def decimated(conn: sqlite3.Connection, run_id: int, name: str, buckets: int) -> list[tuple[int, float | None]]:
    """A series as at most 3 points (step, value) a bucket: its lowest, its highest, and None where one is no number."""
    series = conn.execute("SELECT id FROM series WHERE run_id = ? AND name = ?", (run_id, name)).fetchone()
    if series is None:
        return []
    first, last = conn.execute(
        "SELECT (SELECT step FROM points WHERE series_id = ?1 ORDER BY step LIMIT 1),"
        " (SELECT step FROM points WHERE series_id = ?1 ORDER BY step DESC LIMIT 1)",
        (series["id"],),
    ).fetchone()
    if first is None:
        return []
    width = max(1, -(-(last - first + 1) // max(1, buckets)))
    # with a lone min() or max(), SQLite takes the other columns from the row that has it
    found: set[tuple[int, float | None]] = set()
    for pick in ("min(value)", "max(value)"):
        for step, value in conn.execute(
            f"SELECT step, {pick} FROM points WHERE series_id = ? GROUP BY (step - ?) / ?",
            (series["id"], first, width),
        ):
            if value is not None:
                found.add((step, value))
    for (step,) in conn.execute(
        "SELECT min(step) FROM points WHERE series_id = ? AND value IS NULL GROUP BY (step - ?) / ?",
        (series["id"], first, width),
    ):
        found.add((step, None))
    return sorted(found, key=lambda point: point[0])


def log_tail(conn: sqlite3.Connection, run_id: int, after_id: int = 0, limit: int = 1000) -> Rows:
    """id, at, level, stage, message, detail of the last `limit` lines with an id above `after_id`, the oldest first."""
    rows = conn.execute(
        "SELECT id, at, level, stage, message, detail FROM logs WHERE run_id = ? AND id > ? ORDER BY id DESC LIMIT ?",
        (run_id, after_id, limit),
    ).fetchall()
    return rows[::-1]


def data_version(conn: sqlite3.Connection) -> int:
    """A number that changes when another connection has committed: nothing else needs reading while it stays."""
    return int(conn.execute("PRAGMA data_version").fetchone()[0])


def _limit(limit: int | None) -> int:
    return -1 if limit is None else limit  # SQLite's "no limit"
