"""sample, requests, cancel-batch: what a teacher is paid for, before and after."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.cli.options import Csv, Db, Detach, Json, Jsonl, Run, Set, database, output_format

if TYPE_CHECKING:
    from engine.spec.run import RunSpec


def add_to(app: typer.Typer) -> None:
    """Give the app this file's commands."""
    app.command()(sample)
    app.command()(requests)
    app.command()(cancel_batch)


def sample(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A TOML file; `qcrd init` writes one.")],
    sets: Set = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell calls, tokens and price; buy nothing.")] = False,
    pilot: Annotated[
        int | None,
        typer.Option(
            "--pilot",
            metavar="N",
            min=1,
            help="Buy N calls first, to learn how long the answers are, then tell calls, tokens and price.",
        ),
    ] = None,
    json: Json = False,
    detach: Detach = False,
    db: Db = None,
) -> None:
    """Buy and vote on a file's samples, train nothing.

    A later `qcrd run` of the same file uses them without a call.
    """
    from engine.errors import UsageError
    from engine.spec.load import load_spec

    path = database(db)
    loaded = load_spec(spec, [*(sets or []), "until=vote"])
    if pilot is not None:
        _pilot(loaded, path, pilot)
    if dry_run or pilot is not None:
        _tell(loaded, path, json)
        return
    if json:
        raise UsageError("--json is for --dry-run and --pilot; `qcrd show RUN --json` has what a run bought")
    from app.cli.run import begin

    begin(loaded, path, detach)


def _pilot(spec: "RunSpec", path: Path, calls: int) -> None:
    from app.cli.attach import signals
    from engine.teacher.pilot import pilot as buy
    from engine.text import clean

    with signals(owner=True) as asked:
        run_id = buy(spec, path, calls, asked, lambda level, line: print(f"{level}: {clean(line)}", file=sys.stderr))
    print(f"run {run_id} bought the pilot's samples: the job reuses them", file=sys.stderr)


def _tell(spec: "RunSpec", path: Path, json: bool) -> None:
    """Print what sampling will take; exit code 2 where something is in its way."""
    from dataclasses import asdict
    from json import dumps

    from app.cli.run import report
    from engine.runs.preflight import check

    found = check(spec, path)
    if not json:
        report(found)
        return
    print(dumps({"estimates": [asdict(e) for e in found.estimates], "problems": found.problems}, indent=2))
    if found.problems:
        raise typer.Exit(2)


def requests(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, its name, 'last', or 'all'.")] = "last",
    state: Annotated[
        Literal["pending", "sent", "done", "failed", "in_doubt"] | None,
        typer.Option("--state", help="Only requests in this state."),
    ] = None,
    in_doubt: Annotated[
        bool, typer.Option("--in-doubt", help="Only those whose answer was lost with a killed worker.")
    ] = False,
    request: Annotated[
        int | None,
        typer.Option("--request", metavar="ID", help="One request whole: its messages, its tries and what came back."),
    ] = None,
    json: Json = False,
    jsonl: Jsonl = False,
    csv: Csv = False,
    db: Db = None,
) -> None:
    """List a run's requests to its teachers, each try a line, or show one whole."""
    from contextlib import closing

    from app.cli.output import write_rows
    from app.cli.request import print_request
    from app.cli.tables import REQUESTS
    from engine.errors import UsageError
    from engine.store.connect import open_reader
    from engine.store.ledger.requests import read_request
    from engine.store.ledger.spend import requests_of
    from engine.store.queries import find_run
    from engine.text import in_dollars

    form = output_format(json, jsonl, csv)
    if in_doubt and state not in (None, "in_doubt"):
        raise UsageError(f"--in-doubt and --state {state}: choose one")
    wanted = "in_doubt" if in_doubt else state
    with closing(open_reader(database(db))) as connection:
        if request is not None:
            found = read_request(connection, request)
            if found is None:
                raise UsageError(f"there is no request {request}: `qcrd requests all` lists them")
            print_request(found, form)
            return
        run_id = None if run == "all" else int(find_run(connection, run)["id"])
        rows = [dict(row) for row in requests_of(connection, run_id, wanted)]
    whose = "no run has any requests" if run_id is None else f"run {run_id} has no requests"
    write_rows(rows, form, REQUESTS, empty=whose if wanted is None else f"{whose} {wanted.replace('_', ' ')}")
    if wanted == "in_doubt" and rows:
        known = [row["greatest_usd"] for row in rows]
        cost = "their price is unknown" if None in known else f"they can have cost {in_dollars(sum(known))} at most"
        print(f"{len(rows)} tries; {cost}", file=sys.stderr)


def cancel_batch(run: Run = "last", db: Db = None) -> None:
    """End the provider's work on the batches of a run (teacher.batch).

    What is answered by then is paid for, and fetched when the run is resumed.
    """
    from contextlib import closing

    from app.cli.options import command
    from engine.errors import UsageError
    from engine.store.connect import open_reader
    from engine.store.queries import find_run
    from engine.store.runs.run import stored_spec
    from engine.teacher.batches.cancel import cancel

    path = database(db)
    with closing(open_reader(path)) as connection:
        run_id = int(find_run(connection, run)["id"])
        teacher = stored_spec(connection, run_id).teacher
    done = False
    for line in cancel(teacher, path, run_id):
        print(line, file=sys.stderr)
        done = True
    if not done:
        raise UsageError(f"run {run_id} has no batch with a provider: there is nothing to cancel")
    hint = command(path, f"resume {run_id}")
    print(f"`{hint}` fetches what was answered and asks for the rest again", file=sys.stderr)
