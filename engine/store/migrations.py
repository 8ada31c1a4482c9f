"""The steps from an empty file to the present schema, applied with sqlite-utils in one transaction.

A step that has been released is never edited: add another, and raise `schema.SCHEMA_VERSION`.
"""

import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.store.schema import (
    APPLICATION_ID,
    BATCH_TABLES,
    CLAIM_TABLES,
    FIRST_TABLES,
    GROUP_TABLES,
    IMPORT_TABLES,
    LEDGER_TABLES,
    MARK_TABLES,
    MESSAGE_TABLES,
    RATIONALE_NOTES,
    REASONING_TABLES,
    REASONS,
    SCHEMA_VERSION,
    TEXT_WORDS,
)
from engine.store.views import VIEWS

if TYPE_CHECKING:
    from sqlite_utils import Database


def migrate(conn: sqlite3.Connection) -> None:
    """Bring the schema up to date; `conn` must be inside BEGIN IMMEDIATE, so that a crash between steps undoes all."""
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

    steps = Migrations("qcrd")
    steps(name="0001_first_schema")(_first_schema)
    steps(name="0002_groups")(_groups)
    steps(name="0003_ledger")(_ledger)
    steps(name="0004_reasons")(_reasons)
    steps(name="0005_reasoning")(_reasoning)
    steps(name="0006_imports")(_imports)
    steps(name="0007_batches")(_batches)
    steps(name="0008_claims")(_claims)
    steps(name="0009_marks")(_marks)
    steps(name="0010_rationale_notes")(_rationale_notes)
    steps(name="0011_text_words")(_text_words)
    steps(name="0012_messages")(_messages)
    steps.apply(Database(conn, recursive_triggers=False, execute_plugins=False))
    _make_views(conn)
    conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _first_schema(db: "Database") -> None:
    _run(db.conn, FIRST_TABLES)


def _groups(db: "Database") -> None:
    _run(db.conn, GROUP_TABLES)


def _ledger(db: "Database") -> None:
    _run(db.conn, LEDGER_TABLES)


def _reasons(db: "Database") -> None:
    _run(db.conn, REASONS)


def _reasoning(db: "Database") -> None:
    _run(db.conn, REASONING_TABLES)


def _imports(db: "Database") -> None:
    _run(db.conn, IMPORT_TABLES)


def _batches(db: "Database") -> None:
    _run(db.conn, BATCH_TABLES)


def _claims(db: "Database") -> None:
    _run(db.conn, CLAIM_TABLES)


def _marks(db: "Database") -> None:
    _run(db.conn, MARK_TABLES)


def _rationale_notes(db: "Database") -> None:
    _run(db.conn, RATIONALE_NOTES)


def _text_words(db: "Database") -> None:
    _run(db.conn, TEXT_WORDS)
    db.conn.execute("INSERT INTO text_words (text_words) VALUES ('rebuild')")  # of what is there already


def _messages(db: "Database") -> None:
    _run(db.conn, MESSAGE_TABLES)


def _make_views(conn: sqlite3.Connection) -> None:
    """All of them anew: a view holds no data, and shows the tables as they now are."""
    for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall():
        conn.execute(f'DROP VIEW "{name}"')
    _run(conn, VIEWS)


def _run(conn: sqlite3.Connection, script: str) -> None:
    """Run each statement of a script: `executescript` would commit the transaction that we are in."""
    for statement in statements(script):
        conn.execute(statement)


def statements(script: str) -> Iterator[str]:
    """The statements of an SQL script, one by one."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
