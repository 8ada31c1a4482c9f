"""try-prompt, misses, reparse: whether the parser reads what a teacher writes, before and after it is paid for."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import Db, Json, Run, Set, database

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="Show at most so many.")]


def add_to(app: typer.Typer) -> None:
    """Give the app this file's commands."""
    app.command("try-prompt")(try_prompt)
    app.command()(misses)
    app.command()(reparse)


def try_prompt(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A TOML file; `qcrd init` writes one.")],
    examples: Annotated[int, typer.Option("--examples", "-n", min=1, help="Training questions to ask.")] = 3,
    sets: Set = None,
    json: Json = False,
    db: Db = None,
) -> None:
    """Ask the teacher a few questions: the prompt as sent, the answers, how they are read, what they cost.

    One sample of each of the first training questions; a run of the same spec uses them and asks for the rest.
    """
    import json as words
    import sys
    from dataclasses import asdict

    from app.cli.attach import signals
    from app.cli.prompt_report import print_trial
    from engine.exchange.results import plain
    from engine.spec.load import load_spec
    from engine.teacher.trial import try_prompt as ask
    from engine.text import clean

    with signals(owner=True) as asked:
        found = ask(
            load_spec(spec, list(sets or [])),
            database(db),
            examples,
            asked,
            lambda level, line: print(f"{level}: {clean(line)}", file=sys.stderr),
        )
    if json:
        print(words.dumps(plain(asdict(found)), indent=2))
    else:
        print_trial(found)


def misses(run: Run = "last", limit: Limit = 20, json: Json = False, db: Db = None) -> None:
    """Show which of a run's samples have no answer that the parser finds, and the counts by rule."""
    import json as words
    from contextlib import closing
    from dataclasses import asdict

    from app.cli.prompt_report import print_misses
    from engine.exchange.results import plain
    from engine.store.connect import open_reader
    from engine.store.queries import find_run
    from engine.voting.reparse import misses as read

    path = database(db)
    with closing(open_reader(path)) as connection:
        run_id = int(find_run(connection, run)["id"])
        found = read(connection, run_id)
    if json:
        print(words.dumps(plain({"run": run_id, **asdict(found)}), indent=2))
    else:
        print_misses(run_id, found, limit, path)


def reparse(run: Run = "last", sets: Set = None, limit: Limit = 20, json: Json = False, db: Db = None) -> None:
    """Show what other rules would make of a run's samples; nothing is bought, nothing is changed.

    Set data.answer_pattern (a regular expression with one group around the answer), data.answer, data.labels, vote.… or
    selection.…; `qcrd run` with the same --set then trains on it, with the samples that are there.
    """
    import json as words
    from contextlib import closing
    from dataclasses import asdict

    from app.cli.prompt_report import print_reparsed
    from engine.exchange.results import plain
    from engine.store.connect import open_reader
    from engine.store.queries import find_run
    from engine.voting.reparse import reparse as read

    with closing(open_reader(database(db))) as connection:
        run_id = int(find_run(connection, run)["id"])
        found = read(connection, run_id, list(sets or []))
    if json:
        print(words.dumps(plain({"run": run_id, **asdict(found)}), indent=2))
    else:
        print_reparsed(run_id, found, limit)
