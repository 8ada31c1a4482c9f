"""star, archive, tag, note: what people say of runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import Db, Run, database

Runs = Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids, names, or 'last'.")]


def add_to(app: typer.Typer) -> None:
    """Give the app this file's commands."""
    for command in (star, archive, tag, note):
        app.command()(command)


def star(
    runs: Runs, undo: Annotated[bool, typer.Option("--undo", help="Take the stars away.")] = False, db: Db = None
) -> None:
    """Star runs."""
    from engine.store.runs.marks import set_star

    path = database(db)
    set_star(path, _find(path, runs), not undo)


def archive(
    runs: Runs, undo: Annotated[bool, typer.Option("--undo", help="Bring them back.")] = False, db: Db = None
) -> None:
    """Put runs away: lists leave them out unless they are asked for. Nothing is deleted."""
    from engine.store.runs.marks import set_archived

    path = database(db)
    set_archived(path, _find(path, runs), not undo)


def tag(
    runs: Runs,
    add: Annotated[
        list[str] | None, typer.Option("--add", "-a", metavar="TAG", help="Give this tag; repeatable.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", "-r", metavar="TAG", help="Take this tag away; repeatable.")
    ] = None,
    db: Db = None,
) -> None:
    """Give runs tags, or take tags away."""
    from engine.errors import UsageError
    from engine.store.runs.marks import set_tags

    if not add and not remove:
        raise UsageError("name a tag: `qcrd tag RUN --add TAG`, or --remove TAG")
    path = database(db)
    set_tags(path, _find(path, runs), add or [], remove or [])


def note(
    run: Run,
    text: Annotated[str | None, typer.Argument(metavar="[TEXT]", help="'' takes the note away.")] = None,
    db: Db = None,
) -> None:
    """Write a note on a run, in place of the one before; without TEXT, print it."""
    from contextlib import closing

    from engine.store.connect import open_reader
    from engine.store.queries import find_run
    from engine.store.runs.marks import set_note
    from engine.text import clean

    path = database(db)
    with closing(open_reader(path)) as connection:
        found = find_run(connection, run)
    if text is not None:
        set_note(path, int(found["id"]), text)
    elif found["note"]:
        print(clean(found["note"]))


def _find(path: Path, runs: Sequence[str]) -> list[int]:
    """The ids of the runs that the user means."""
    from contextlib import closing

    from engine.store.connect import open_reader
    from engine.store.queries import find_run

    with closing(open_reader(path)) as connection:
        return list(dict.fromkeys(int(find_run(connection, run)["id"]) for run in runs))
