"""The stages of a run: which it has, and how far each is."""

import sqlite3
from collections.abc import Sequence

UPDATE = (
    "UPDATE stages SET state = coalesce(:state, state), done = coalesce(:done, done),"
    " total = coalesce(:total, total),"
    " started_at = CASE WHEN :state = 'running' THEN :now"
    "                   WHEN :state = 'waiting' THEN NULL ELSE started_at END,"
    " ended_at = CASE WHEN :state IN ('done', 'failed') THEN :now"
    "                 WHEN :state IN ('running', 'waiting') THEN NULL ELSE ended_at END,"
    " seconds = seconds + CASE WHEN state <> 'running' OR :state IS NULL THEN 0"
    "                          WHEN :state <> 'running' THEN max(0, :now - started_at)"
    # left over by a process that died: it worked until its last heartbeat
    "                          ELSE max(0, coalesce((SELECT max(last_at) FROM sessions WHERE run_id = :run"
    "                                                AND id < :session), 0) - started_at) END"
    " WHERE run_id = :run AND name = :name"
)
"""Of one, by the process of `session`; what is null stays as it was."""
TOOK = (
    "INSERT INTO logs (run_id, at, level, stage, message)"
    " SELECT run_id, ?, 'info', name, printf('%s took %.1f s', name, seconds) FROM stages"
    " WHERE run_id = ? AND name = ?"
)
"""A line of the log on one that is done."""
NEW = ("waiting", 0, None, None, None, 0.0)


def declare(conn: sqlite3.Connection, run_id: int, stages: Sequence[tuple[str, str]]) -> None:
    """These alone, (name, unit) in order, are the run's; those that it had keep their state."""
    rows = conn.execute(
        "SELECT name, state, done, total, started_at, ended_at, seconds FROM stages WHERE run_id = ?", (run_id,)
    )
    known = {name: state for name, *state in rows}
    conn.execute("DELETE FROM stages WHERE run_id = ?", (run_id,))
    conn.executemany(
        "INSERT INTO stages (run_id, position, name, unit, state, done, total, started_at, ended_at, seconds)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(run_id, at, name, unit, *known.get(name, NEW)) for at, (name, unit) in enumerate(stages)],
    )
