"""runs, show, rationales, metrics, logs, query, queries: what the database holds, for people and for programs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.options import Csv, Db, Json, Jsonl, Run, database, output_format

Polarity = Annotated[
    Literal["positive", "negative", "dropped", "unparsed"] | None, typer.Option("--polarity", help="Of this polarity.")
]
Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most so many.")]


def add_to(app: typer.Typer) -> None:
    """Give the app this file's commands."""
    for command in (runs, show, rationales, metrics, logs, query, queries):
        app.command()(command)


def runs(
    where: Annotated[
        str,
        typer.Option(
            "--where",
            "-w",
            metavar="FILTER",
            help="Only those of which every term is true, e.g. 'method=qcrd acc>0.6 teacher~gpt state=running "
            "tag:paper star age<3d method.loss.beta=0.2': any column, any setting; = != ~ (contains) < <= > >=; "
            "other words are looked for anywhere.",
        ),
    ] = "",
    sort: Annotated[
        str,
        typer.Option("--sort", metavar="KEY", help="By a column or a setting, the greatest first; else the newest."),
    ] = "",
    reverse: Annotated[bool, typer.Option("--reverse", help="The least, or the oldest, first.")] = False,
    archived: Annotated[bool, typer.Option("--archived", help="Those too that were put away.")] = False,
    limit: Limit = None,
    json: Json = False,
    jsonl: Jsonl = False,
    csv: Csv = False,
    db: Db = None,
) -> None:
    """List the runs, the newest first."""
    import sys
    from contextlib import closing

    from app.cli.output import write_rows
    from app.cli.tables import RUNS
    from engine.store.connect import open_reader
    from engine.store.queries import runs as read_runs

    form = output_format(json, jsonl, csv)
    with closing(open_reader(database(db))) as connection:
        rows = [dict(row) for row in read_runs(connection, limit, where, sort, archived=archived, ascending=reverse)]
        total, away = connection.execute(
            "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM run_marks WHERE archived)"
        ).fetchone()
    empty = f"none of {total} runs" if total else "no runs yet: `qcrd demo` or `qcrd run SPEC` makes one"
    write_rows(rows, form, RUNS, empty=empty)
    if form == "table" and away and not archived and "archived" not in where:
        print(f"{away} archived: --archived shows them too", file=sys.stderr)


def show(run: Run = "last", json: Json = False, jsonl: Jsonl = False, csv: Csv = False, db: Db = None) -> None:
    """Show everything about one run."""
    import sys
    from contextlib import closing
    from json import dumps

    from app.cli.show import document, flat, print_document
    from engine.exchange.results import plain, write_csv
    from engine.store.connect import open_reader
    from engine.store.queries import find_run

    form = output_format(json, jsonl, csv)
    path = database(db)
    with closing(open_reader(path)) as connection:
        found = document(connection, find_run(connection, run))
    if form == "table":
        print_document(found, path)
    elif form == "csv":
        write_csv(flat(found), sys.stdout)
    else:
        print(dumps(plain(found), indent=2 if form == "json" else None))


def rationales(
    run: Run = "last",
    question: Annotated[
        str | None, typer.Option("--question", "-q", metavar="ID", help="All rationales of this question.")
    ] = None,
    polarity: Polarity = None,
    source: Annotated[
        Literal["teacher", "minority", "self", "fixed", "perturbed", "peer"] | None,
        typer.Option("--source", help="From there."),
    ] = None,
    quality: Annotated[
        str | None, typer.Option("--quality", metavar="RANGE", help='0.2..0.6, "<0.3" or ">0.7", at the last visit.')
    ] = None,
    chosen: Annotated[
        bool | None, typer.Option("--chosen/--not-chosen", help="That the last visit chose, or not.")
    ] = None,
    active: Annotated[
        bool | None, typer.Option("--active/--silent", help="Chosen negatives that counted, or were silenced.")
    ] = None,
    answer: Annotated[
        Literal["right", "wrong"] | None, typer.Option("--answer", help="That end in the gold answer, or not.")
    ] = None,
    student: Annotated[
        Literal["right", "wrong"] | None,
        typer.Option("--student", help="Of followed questions on which the student was right at last, or wrong."),
    ] = None,
    flagged: Annotated[
        bool | None, typer.Option("--flagged/--not-flagged", help="That are flagged, or whose question is; or not.")
    ] = None,
    flipped: Annotated[
        bool | None,
        typer.Option(
            "--flipped/--not-flipped", help="Of questions on which the last evaluation changed right or wrong."
        ),
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="WORDS", help="That hold these words; subtr* for beginnings.")
    ] = None,
    limit: Limit = None,
    json: Json = False,
    jsonl: Jsonl = False,
    csv: Csv = False,
    db: Db = None,
) -> None:
    """Show positive and negative rationales.

    The pairs that training chose, the newest 20 (or --limit) first; with --question all of that question; with any
    other option the rationales that are so, in the training set's order.
    """
    from contextlib import closing

    from app.cli.output import write_rows
    from app.cli.show import print_pairs, print_rationales
    from engine.errors import UsageError
    from engine.store.connect import open_reader
    from engine.store.queries import find_run
    from engine.store.rationales.filter import Filter, quality_range
    from engine.store.rationales.queries import pairs, rationales_like, rationales_of

    form = output_format(json, jsonl, csv)
    wanted = Filter(
        polarity=polarity,
        source=source,
        quality=None if quality is None else quality_range(quality),
        chosen=chosen,
        active=active,
        answer=None if answer is None else answer == "right",
        student=None if student is None else student == "right",
        flagged=flagged,
        flipped=flipped,
        text=text,
    )
    if question is not None and wanted != Filter():
        raise UsageError(f"--question shows all of one question: leave it away to look for {wanted}")
    most = limit or (20 if form == "table" else None)
    with closing(open_reader(database(db))) as connection:
        run_id = int(find_run(connection, run)["id"])
        if wanted != Filter():
            rows = [dict(row) for row in rationales_like(connection, run_id, wanted, most)]
        elif question is None:
            rows = [dict(row) for row in pairs(connection, run_id, limit=most)]
        else:
            rows = [dict(row) for row in rationales_of(connection, run_id, question)][:limit]
            if not rows:
                raise UsageError(
                    f"run {run_id} has no rationales of a question {question!r}; `qcrd rationales` has ids"
                )
    if form != "table" or not rows:
        none = "no rationales have been trained on yet" if wanted == Filter() else f"no rationale has {wanted}"
        write_rows(rows, form, [], empty=none)
    elif question is None and wanted == Filter():
        print_pairs(rows)
    else:
        print_rationales(rows)


def metrics(
    run: Run = "last",
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Which; else all.")] = None,
    limit: Limit = None,
    json: Json = False,
    jsonl: Jsonl = False,
    csv: Csv = False,
    db: Db = None,
) -> None:
    """Show the last value of each metric, or the points of some."""
    from contextlib import closing

    from app.cli.output import write_rows
    from app.cli.tables import POINTS
    from engine.store.connect import open_reader
    from engine.store.queries import find_run
    from engine.store.queries import metrics as read_metrics

    form = output_format(json, jsonl, csv)
    wanted: list[str | None] = [*names] if names else [None]
    last = limit if names or form != "table" else 1
    with closing(open_reader(database(db))) as connection:
        run_id = int(find_run(connection, run)["id"])
        rows = [dict(row) for name in wanted for row in read_metrics(connection, run_id, name, last)]
    write_rows(rows, form, POINTS, empty=f"run {run_id} has no metrics yet")


def logs(
    run: Run = "last",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    limit: Limit = None,
    json: Json = False,
    jsonl: Jsonl = False,
    csv: Csv = False,
    db: Db = None,
) -> None:
    """Show a run's log."""
    from contextlib import closing

    from app.cli.output import write_rows
    from app.cli.show import follow_log, print_log
    from engine.errors import UsageError
    from engine.store.connect import open_reader
    from engine.store.queries import find_run, log_tail

    form = output_format(json, jsonl, csv)
    if follow and form in ("json", "csv"):
        raise UsageError(f"--follow has no end that --{form} could close: use --jsonl")
    path = database(db)
    with closing(open_reader(path)) as connection:
        run_id = int(find_run(connection, run)["id"])
        rows = [dict(row) for row in log_tail(connection, run_id, limit=limit or 1_000_000)]
    if form == "table":
        print_log(rows, path)
    else:
        write_rows(rows, form, [])
    if follow:
        follow_log(path, run_id, rows[-1]["id"] if rows else 0, form)


def query(
    sql: Annotated[
        str | None,
        typer.Argument(
            metavar="[SQL]", help='One statement that reads, e.g. "SELECT * FROM run_summary"; -: from stdin.'
        ),
    ] = None,
    saved: Annotated[
        str | None, typer.Option("--saved", metavar="NAME", help="A saved query; `qcrd queries` lists them.")
    ] = None,
    save: Annotated[
        str | None, typer.Option("--save", metavar="NAME", help="Keep SQL under this name as well.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", help="Write all rows to a file: .csv, .json, .jsonl or .parquet."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE, or the saved query.")] = False,
    limit: Limit = None,
    json: Json = False,
    jsonl: Jsonl = False,
    csv: Csv = False,
    db: Db = None,
) -> None:
    """Ask the database in SQL; it can only be read."""
    import sys

    from app.cli.output import write_rows
    from app.cli.tables import columns_of
    from engine.errors import UsageError
    from engine.exchange.results import SECONDS, export, unique
    from engine.store import saved as queries_of
    from engine.store.guarded import query as ask

    form = output_format(json, jsonl, csv)
    if (sql is None) == (saved is None):
        raise UsageError("give either SQL or --saved NAME; `qcrd queries` lists the names")
    text = queries_of.find(saved or "").sql if sql is None else sql
    if text == "-":
        text = sys.stdin.read()
    if save is not None:
        print(f"saved as {queries_of.save(save, text, force)}", file=sys.stderr)
    if to is not None:
        if form != "table" or limit:
            raise UsageError("--to writes all rows in the form of FILE's ending: leave out --limit and the other form")
        print(f"{export(database(db), text, to, force)} rows in {to}", file=sys.stderr)
        return
    rows_at_most = limit or (1000 if form == "table" else 10_000_000)
    result = ask(database(db), text, limit_rows=rows_at_most, seconds=SECONDS)
    names = unique(result.columns)
    rows = [dict(zip(names, row, strict=True)) for row in result.rows]
    write_rows(rows, form, columns_of(names, result.rows), empty="no rows", header=names)
    if result.truncated:
        print(f"there are more rows than {rows_at_most}: --limit shows more", file=sys.stderr)


def queries(json: Json = False, jsonl: Jsonl = False, csv: Csv = False) -> None:
    """List the saved queries: those that come with qcrd, and your own."""
    from dataclasses import asdict

    from app.cli.output import Column, write_rows
    from engine.store.saved import saved
    from engine.text import one_line

    columns = [
        Column("name", lambda row: row["name"], keep=True),
        Column("", lambda row: "" if row["shipped"] else "own", keep=True),
        Column("about", lambda row: one_line(row["about"], 100), fold=True, keep=True),
    ]
    write_rows([asdict(query) for query in saved()], output_format(json, jsonl, csv), columns)
