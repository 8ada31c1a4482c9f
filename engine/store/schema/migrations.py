"""The schema's steps, applied with sqlite-utils in one transaction."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from engine.store.schema.tables import APPLICATION_ID, SCHEMA_VERSION, STEPS
from engine.store.schema.views import VIEWS

if TYPE_CHECKING:
    from sqlite_utils import Database


def migrate(conn: sqlite3.Connection) -> None:
    """Bring the schema up to date; `conn` must be inside BEGIN IMMEDIATE, so that a crash between steps undoes all."""
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

    steps = Migrations("qcrd")
    for name, script in STEPS.items():
        steps(name=name)(_step(script))
    steps.apply(Database(conn, recursive_triggers=False, execute_plugins=False))
    _make_views(conn)
    conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _step(script: str) -> Callable[["Database"], None]:
    return lambda db: _run(db.conn, script)


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
