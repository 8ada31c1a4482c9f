"""What there is to ask: tables and views with their columns, for completion and to be read."""

import sqlite3
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Table:
    """A table or a view."""

    name: str
    kind: Literal["table", "view"]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Catalog:
    """All of a database, views first."""

    tables: tuple[Table, ...] = ()

    def table(self, name: str) -> Table | None:
        """The one of that name, whatever its case."""
        return next((t for t in self.tables if t.name.lower() == name.lower()), None)


def read_catalog(con: sqlite3.Connection) -> Catalog:
    """The catalog of an open database, without what SQLite and the migrations keep for themselves."""
    rows = con.execute(
        "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
        " AND name NOT LIKE '~_%' ESCAPE '~' ORDER BY type DESC, name"
    ).fetchall()
    return Catalog(
        tuple(
            Table(name, kind, tuple(c[0] for c in con.execute("SELECT name FROM pragma_table_info(?)", (name,))))
            for name, kind in rows
        )
    )
