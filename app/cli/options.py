"""The arguments and options that several commands share, and what they are turned into."""

import re
import shlex
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import typer

Format = Literal["table", "json", "jsonl", "csv"]

Db = Annotated[
    Path | None, typer.Option("--db", metavar="FILE", help="The database; else $QCRD_DB, else ./experiments.db.")
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, its name, or 'last'.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Jsonl = Annotated[bool, typer.Option("--jsonl", help="Print one JSON object a line.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
Detach = Annotated[bool, typer.Option("--detach", "-d", help="Start the worker, print the run's id and return.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Lay one key over the file, e.g. training.lr=1e-4; repeatable."),
]
OF_A_RUN = re.compile(
    r"`qcrd ((?:resume|requests|cancel-batch|attach|stop|pause|show|logs|runs|rationales|misses|reparse|compare"
    r"|upgrade)\b[^`]*)`"
)
"""Hints that mean a run of the database in use, as the engine words them, which does not know how that was named."""
in_front: Path | None = None
"""The --db before the command's name, which is in the environment of this process alone."""


def database(db: Path | None) -> Path:
    """The database's absolute path."""
    from engine.store.connect import database_path

    return database_path(db).absolute()


def command(database: Path, words: str) -> str:
    """A command line that the user can copy: --db is there where it is needed."""
    from engine.store.connect import database_path

    if in_front is None and database == database_path(None).absolute():
        return f"qcrd {words}"
    return f"qcrd {words} --db {shlex.quote(str(database))}"


def with_database(line: str, database: Path) -> str:
    """A line of the engine's, stored or raised, with --db in the hints that need it."""
    return OF_A_RUN.sub(lambda found: found[0] if "--db" in found[1] else f"`{command(database, found[1])}`", line)


def named_database(arguments: Sequence[str]) -> Path:
    """The database that a command line uses, whichever command it is."""
    given = [b for a, b in pairwise(arguments) if a == "--db"]
    given += [a.removeprefix("--db=") for a in arguments if a.startswith("--db=")]
    return database(Path(given[-1]) if given else None)


def output_format(json: bool, jsonl: bool, csv: bool) -> Format:
    """Which of the flags was given. Raises UsageError for more than one."""
    from engine.errors import UsageError

    flags: list[tuple[Format, bool]] = [("json", json), ("jsonl", jsonl), ("csv", csv)]
    given = [name for name, flag in flags if flag]
    if len(given) > 1:
        raise UsageError(f"--{given[0]} and --{given[1]}: choose one")
    return given[0] if given else "table"
