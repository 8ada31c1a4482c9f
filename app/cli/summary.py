"""What a finished run says on stdout: what the student learned, beside what it must beat, and from what."""

from collections.abc import Sequence
from contextlib import closing
from operator import itemgetter
from pathlib import Path

from app.cli.options import command
from app.cli.output import Column, Row, console, share, write_table
from app.cli.tables import base_name, bought, doubt, paid
from engine.store.connect import open_reader
from engine.store.ledger.spend import spend
from engine.store.queries import find_run, scores
from engine.store.runs.summary import auc_by_source, rationale_counts
from engine.text import one_line
from screens.widgets.words import UNKNOWN, count, duration, two

ORDER = ("student", "untrained", "majority class", "teacher sample", "teacher vote")
NAMES = {"student": "student", "untrained": "untrained student", "teacher sample": "teacher, one sample"}


def print_summary(database: Path, run_id: int) -> None:
    """Accuracies with their intervals, rationales by polarity and source, AUC by source, and what to type next."""
    with closing(open_reader(database)) as connection:
        run = find_run(connection, run_id)
        found = [dict(row) for row in scores(connection, run_id)]
        counts = rationale_counts(connection, run_id)
        spent = [dict(row) for row in spend(connection, run_id)]
        aucs = auc_by_source(connection, run_id)
    out = console()
    took = duration(run["seconds"])
    steps = f"{count(run['step'])} steps in {took}" if run["steps"] else f"samples and votes in {took}"
    print(f"{one_line(run['name'], 60)}: run {run_id}, {run['method']}, seed {run['seed']}, {steps}")
    rows = accuracies(found)
    if rows:
        out.print()
        write_table(rows, columns(rows))
    if counts:
        said = [f"{count(row['count'])} {row['polarity']} ({row['source']})" for row in counts]
        print(f"\nrationales: {', '.join(said)}")
    for row in spent:
        print(spent_line(row))
    if aucs:
        said = [f"{two(value)} against {one_line(source)}" for source, value in aucs.items()]
        print(f"{'ranking model' if run['method'] == 'ranking' else 'discriminator'}'s AUC: {', '.join(said)}")
    for row in found:
        if row["who"] == "ranking model":
            told = share(row["accuracy"], row["low"], row["high"])
            print(f"pairs of a question ranked rightly: {told} over {count(row['total'])} held-out questions")
    if not run["steps"]:
        print("\na run of the same file uses these samples without a call")
        return
    open_console = "qcrd" if command(database, "") == "qcrd " else f"qcrd --db {database}"
    shows = command(database, f"rationales {run_id}")
    print(f"\n`{open_console}` opens the console; `{shows}` shows what it learned from")


def spent_line(row: Row) -> str:
    """One teacher's or judge's calls, what they brought and cost, and what may be on the bill besides."""
    who = "judge" if row["verdicts"] is not None and not (row["bought_samples"] or row["reused_samples"]) else "teacher"
    made = f"{count(row['calls'])} calls, {bought(row)} bought for {paid(row)}"
    lost = f", {count(row['in_doubt'])} in doubt ({doubt(row)})" if row["in_doubt"] else ""
    again = f", {count(row['reused_samples'])} reused" if row["reused_samples"] else ""
    return f"{who} {one_line(base_name(row['model']))}: {made}{lost}{again}"


def accuracies(found: Sequence[Row]) -> list[dict[str, str]]:
    """A row for each who and head, a column for each split; the test splits' last scores, the teacher's on train."""
    wanted = [row for row in found if row["split"] != "validation"]
    splits = sorted({row["split"] for row in wanted}, key=lambda split: (split == "train", split != "test", split))
    keys = dict.fromkeys((row["who"], row["head"]) for row in sorted(wanted, key=_place))
    cells = {(row["who"], row["head"], row["split"]): share(row["accuracy"], row["low"], row["high"]) for row in wanted}
    return [
        {"who": NAMES.get(who, who), "head": head} | {split: cells.get((who, head, split), UNKNOWN) for split in splits}
        for who, head in keys
    ]


def columns(rows: Sequence[dict[str, str]]) -> list[Column]:
    """The columns of `accuracies`."""
    names = list(rows[0])
    return [Column(_title(name), itemgetter(name), right=name not in ("who", "head")) for name in names]


def _title(name: str) -> str:
    return {"who": "accuracy ±95 %", "head": "head"}.get(name, name)


def _place(row: Row) -> tuple[int, str, str]:
    who = row["who"]
    return (ORDER.index(who) if who in ORDER else 1, who, row["head"])
