"""Queries kept by name, each a .sql file: those that come with qcrd, and a person's own in their config folder.

Files and no table: a query serves every database of its person, a console that only reads must not write to one, and
a file can be edited, sent and kept under version control. One's own hides a shipped one of the same name.
"""

import os
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from engine.errors import UsageError

NAME = re.compile(r"\w[\w.-]{0,59}")
MOST_BYTES = 1 << 20
"""A file larger than this is no query."""


@dataclass(frozen=True, slots=True)
class SavedQuery:
    """A query with its name."""

    name: str
    about: str
    """Its first line, where that is a comment; else ''."""
    sql: str
    shipped: bool


def folder() -> Path:
    """Where a person's own are kept; need not exist."""
    from platformdirs import user_config_path

    return user_config_path("qcrd") / "queries"


def saved() -> list[SavedQuery]:
    """All, by name."""
    found = {query.name: query for query in _shipped()}
    own = folder()
    for path in sorted(own.glob("*.sql")) if own.is_dir() else ():
        if NAME.fullmatch(path.stem) and path.is_file() and path.stat().st_size <= MOST_BYTES:
            found[path.stem] = _query(path.stem, path.read_text("utf-8", errors="replace"), shipped=False)
    return sorted(found.values(), key=lambda query: query.name)


def find(name: str) -> SavedQuery:
    """The one of that name. Raises UsageError that names those there are."""
    every = saved()
    for query in every:
        if query.name == name:
            return query
    raise UsageError(f"there is no saved query {name!r}; there are {', '.join(query.name for query in every)}")


def save(name: str, sql: str, force: bool) -> Path:
    """Keep a query; its file. Raises UsageError for a name that is none, or taken unless `force`."""
    if not NAME.fullmatch(name):
        raise UsageError(f"a query's name is letters, digits, . _ and -, 60 at most, not {name!r}")
    if not sql.strip():
        raise UsageError("the query is empty: there is nothing to save")
    path = folder() / f"{name}.sql"
    if path.exists() and not force:
        raise UsageError(f"there is a saved query {name!r} already; --force overwrites it, or give another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(sql.strip() + "\n", "utf-8", errors="replace")
    part.replace(path)
    return path


def _shipped() -> list[SavedQuery]:
    files = resources.files("engine.store").joinpath("saved_queries").iterdir()
    return [_query(f.name[:-4], f.read_text("utf-8"), shipped=True) for f in files if f.name.endswith(".sql")]


def _query(name: str, sql: str, shipped: bool) -> SavedQuery:
    first = sql.strip().partition("\n")[0]
    return SavedQuery(name, first[2:].strip() if first.startswith("--") else "", sql.strip(), shipped)
