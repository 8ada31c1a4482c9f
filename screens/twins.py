"""The command lines that do what a key does."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from engine.store.connect import database_path
from screens.kept import RunsKept


def twin(database: Path | None, command: str) -> str:
    """A command line that can be pasted: --db is there where it is needed; "A && B" are two."""
    option = ""
    if database is not None and database.absolute() != database_path(None).absolute():
        option = f" --db {shlex.quote(str(database))}"
    return " && ".join(f"qcrd {part}{option}" for part in command.split(" && "))


def words(command: str, run_ids: Sequence[int], options: str = "") -> str:
    """star 4 7 --undo."""
    return " ".join([command, *map(str, run_ids), *([options] if options else [])])


def each(command: str, run_ids: Sequence[int], options: str = "") -> str:
    """stop 4 && stop 7."""
    return " && ".join(words(command, [run_id], options) for run_id in run_ids)


def listing(kept: RunsKept) -> str:
    """The list as it is shown, but for columns and groups."""
    parts = ["runs"]
    parts += ["--where", shlex.quote(kept.where)] if kept.where else []
    parts += ["--sort", kept.sort] if kept.sort else []
    parts += ["--reverse"] if kept.ascending else []
    parts += ["--archived"] if kept.archived else []
    return " ".join(parts)
