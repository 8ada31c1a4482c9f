"""What people remark on rationales and questions: a flag, a note. Kept in the database, shown and exported."""

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from engine.errors import UsageError
from engine.store.connect import write
from engine.store.texts import storable

QUESTION = -1
"""In the place of a rationale's number: the question itself."""
NOTE_LENGTH = 10_000
"""Most characters of a note."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What is remarked on one thing."""

    flagged: bool
    note: str | None


UNMARKED = Mark(False, None)


def read_notes(con: sqlite3.Connection, run_id: int, example: str) -> dict[int, Mark]:
    """Remarks on a question (QUESTION) and its rationales, by number."""
    rows = con.execute(
        "SELECT number, flagged, note FROM rationale_notes WHERE run_id = ? AND example = ?", (run_id, example)
    ).fetchall()
    return {number: Mark(bool(flagged), note) for number, flagged, note in rows}


def remark(
    path: Path,
    run_id: int,
    example: str,
    number: int = QUESTION,
    *,
    flagged: bool | None = None,
    note: str | None = None,
) -> Mark:
    """Flag a rationale or a question, or write a note beside it; what is None stays, an empty note is taken away.

    Returns what is remarked then. Raises UsageError where the run has no such question or rationale.
    """
    if note is not None and len(note) > NOTE_LENGTH:
        raise UsageError(f"the note has {len(note)} characters, more than {NOTE_LENGTH}: shorten it")

    def change(conn: sqlite3.Connection) -> Mark:
        _require(conn, run_id, example, number)
        before = read_notes(conn, run_id, example).get(number, UNMARKED)
        text = before.note if note is None else storable(note.strip()) or None
        after = Mark(before.flagged if flagged is None else flagged, text)
        key = (run_id, example, number)
        if after == UNMARKED:
            conn.execute("DELETE FROM rationale_notes WHERE run_id = ? AND example = ? AND number = ?", key)
        else:
            conn.execute(
                "INSERT OR REPLACE INTO rationale_notes (run_id, example, number, flagged, note, at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (*key, after.flagged, after.note, time.time()),
            )
        return after

    return write(path, change)


def _require(conn: sqlite3.Connection, run_id: int, example: str, number: int) -> None:
    if conn.execute("SELECT 1 FROM votes WHERE run_id = ? AND example = ?", (run_id, example)).fetchone() is None:
        raise UsageError(f"run {run_id} has no question {example!r} that was voted on; `qcrd rationales` has ids")
    known = (
        number == QUESTION
        or conn.execute(
            "SELECT 1 FROM rationales WHERE run_id = ? AND example = ? AND number = ?", (run_id, example, number)
        ).fetchone()
    )
    if not known:
        raise UsageError(
            f"question {example!r} has no rationale {number}; `qcrd rationales {run_id} --question` has numbers"
        )
