"""The arguments and options that several commands share, and what they are turned into."""

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


def database(db: Path | None) -> Path:
    """The database's absolute path."""
    from engine.store.connect import database_path

    return database_path(db).absolute()


def command(database: Path, words: str) -> str:
    """A command line that the user can copy: --db is there where it is needed."""
    from engine.store.connect import database_path

    if database == database_path(None).absolute():
        return f"qcrd {words}"
    return f"qcrd {words} --db {database}"


def output_format(json: bool, jsonl: bool, csv: bool) -> Format:
    """Which of the flags was given. Raises UsageError for more than one."""
    from engine.errors import UsageError

    flags: list[tuple[Format, bool]] = [("json", json), ("jsonl", jsonl), ("csv", csv)]
    given = [name for name, flag in flags if flag]
    if len(given) > 1:
        raise UsageError(f"--{given[0]} and --{given[1]}: choose one")
    return given[0] if given else "table"
