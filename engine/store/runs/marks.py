"""What people say of runs: stars, tags, a note, and that one is put away. Kept beside the run."""

import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from engine.errors import UsageError
from engine.store.connect import write
from engine.text import clean, one_line

NOTE = 4000
"""Characters of a note."""
TAG = 50
"""Characters of a tag."""


def set_star(path: Path, run_ids: Sequence[int], star: bool) -> None:
    """Star the runs, or take their stars away. Raises UsageError where there is no such run."""
    _change(path, run_ids, "star = :value", int(star))


def set_archived(path: Path, run_ids: Sequence[int], archived: bool) -> None:
    """Put the runs away, so that lists leave them out, or back. Raises UsageError where there is no such run."""
    _change(path, run_ids, "archived = :value", int(archived))


def set_note(path: Path, run_id: int, note: str) -> None:
    """Write a note, in place of the one before; "" takes it away. Raises UsageError for no such run, or a long note."""
    text = clean(note).strip()
    if len(text) > NOTE:
        raise UsageError(f"the note is {len(text)} characters long: at most {NOTE}")
    _change(path, [run_id], "note = :value", text)


def set_tags(path: Path, run_ids: Sequence[int], add: Sequence[str], remove: Sequence[str]) -> None:
    """Give the runs tags and take others away. Raises UsageError for no such run, or what is no tag."""
    new, old = [check_tag(tag) for tag in add], [check_tag(tag) for tag in remove]

    def change(conn: sqlite3.Connection) -> None:
        for run_id in run_ids:
            _touch(conn, run_id)
            conn.executemany(
                "DELETE FROM run_tags WHERE run_id = ? AND tag = ? COLLATE NOCASE", [(run_id, tag) for tag in old + new]
            )
            conn.executemany("INSERT OR IGNORE INTO run_tags VALUES (?, ?)", [(run_id, tag) for tag in new])

    write(path, change)


def check_tag(tag: str) -> str:
    """The tag as it is kept. Raises UsageError for what is not one word."""
    text = clean(tag).strip().removeprefix("#")
    if not text or len(text) > TAG or re.search(r'[\s,"]', text) or text[0] in "+-":
        raise UsageError(f"{one_line(tag, 60)!r} is no tag: one word of at most {TAG} characters, not begun by + or -")
    return text


def _change(path: Path, run_ids: Sequence[int], setting: str, value: int | str) -> None:
    def change(conn: sqlite3.Connection) -> None:
        for run_id in run_ids:
            _touch(conn, run_id)
            conn.execute(f"UPDATE run_marks SET {setting} WHERE run_id = :run", {"value": value, "run": run_id})

    write(path, change)


def _touch(conn: sqlite3.Connection, run_id: int) -> None:
    """The run's row, which says that it changed."""
    if conn.execute("SELECT 1 FROM runs WHERE id = ?", (run_id,)).fetchone() is None:
        raise UsageError(f"there is no run {run_id}: `qcrd runs` lists them")
    change = conn.execute("SELECT coalesce(max(change), 0) + 1 FROM run_marks").fetchone()[0]
    conn.execute(
        "INSERT INTO run_marks (run_id, change) VALUES (?1, ?2) ON CONFLICT (run_id) DO UPDATE SET change = ?2",
        (run_id, change),
    )
