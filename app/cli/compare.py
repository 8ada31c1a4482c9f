"""compare: methods beside each other, over their seeds, with intervals, times and what the teacher cost."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.options import Csv, Db, Format, Json, Jsonl, database, output_format


def add_to(app: typer.Typer) -> None:
    """Give the app this file's command."""
    app.command()(compare)


def compare(
    what: Annotated[
        list[str] | None, typer.Argument(metavar="[GROUP|RUN]...", help="Groups (g1) or runs; else the last group.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", metavar="METHOD", help="Differences are to it; else to the first.")
    ] = None,
    overlap: Annotated[
        bool, typer.Option("--overlap", help="Instead: which test questions each two runs solve together and alone.")
    ] = False,
    json: Json = False,
    jsonl: Jsonl = False,
    csv: Csv = False,
    db: Db = None,
) -> None:
    """Compare methods: a row each, over seeds.

    Accuracy on test with its 95 % interval, the difference to the reference paired by seed (with one seed: by
    question), majority vote and pass@k, training time, and what the teacher cost.
    """
    form = output_format(json, jsonl, csv)
    if overlap:
        _print_overlap(database(db), what or [], form)
    else:
        _print(database(db), what or [], reference, form)


def print_comparison(path: Path, group_id: int) -> None:
    """The table of a group, on stdout."""
    _print(path, [f"g{group_id}"], None, "table")


def _print(path: Path, names: list[str], reference: str | None, form: Format) -> None:
    from app.cli.output import write_rows
    from engine.evaluation.comparison import compare as compared
    from engine.store.connect import open_reader
    from engine.store.runs.results import paired_verdicts, read_results

    with closing(open_reader(path)) as connection:
        results = read_results(connection, _run_ids(connection, names))
        rows = compared(results, lambda a, b, head: paired_verdicts(connection, a, b, head), reference)
    base = reference or rows[0].method
    drawn = sorted({key for row in rows for key in row.sampled})
    flat = [_flat(row, base, drawn) for row in rows]
    write_rows(flat, form, _columns(flat, base))
    if form == "table":
        for line in _notes(flat):
            print(line, file=sys.stderr)


def _run_ids(connection: Any, names: list[str]) -> list[int]:
    """The runs that are named, alone or in groups; none named: those of the last group."""
    from engine.errors import UsageError
    from engine.store.queries import find_run
    from engine.store.runs.groups import find_group, last_group
    from engine.store.runs.results import group_run_ids

    groups = [last_group(connection)] if not names else [find_group(connection, name) for name in names]
    found: list[int] = []
    for group, name in zip(groups, names or [""], strict=True):
        if group is not None:
            found += group_run_ids(connection, group)
            continue
        run = find_run(connection, name)
        if run["method"] == "ranking":
            raise UsageError(f"run {run['id']} is a ranking model: it has no answers to compare")
        found.append(int(run["id"]))
    return list(dict.fromkeys(found))


def _print_overlap(path: Path, names: list[str], form: Format) -> None:
    from app.cli.output import Column, write_rows
    from engine.errors import UsageError
    from engine.evaluation.overlap import overlaps
    from engine.store.connect import open_reader
    from screens.widgets.words import count, three

    with closing(open_reader(path)) as connection:
        run_ids = _run_ids(connection, names)
        if len(run_ids) < 2:
            raise UsageError("--overlap wants two runs or more, or a group of them: `qcrd compare 3 5 --overlap`")
        found = overlaps(connection, run_ids)
    rows = [
        {
            "first": one.first,
            "second": one.second,
            "head": one.head,
            "questions": one.questions,
            "both": one.both,
            "first_alone": one.first_alone,
            "second_alone": one.second_alone,
            "union": one.union,
            "iou": one.iou,
        }
        for one in found
    ]
    numbers = ("questions", "both", "first_alone", "second_alone", "union")
    columns = [
        Column("first", lambda row: str(row["first"]), right=True, keep=True),
        Column("second", lambda row: str(row["second"]), right=True, keep=True),
        Column("head", lambda row: row["head"], keep=True),
        *(
            Column(name.replace("_", " "), lambda row, name=name: count(row[name]), right=True)  # type: ignore[misc]
            for name in numbers
        ),
        Column("iou", lambda row: three(row["iou"]), right=True, keep=True),
    ]
    write_rows(rows, form, columns)
    if form == "table" and not rows:
        print("no two of these runs answered the same test questions", file=sys.stderr)


def _flat(row: Any, reference: str, drawn: list[tuple[str, str]]) -> dict[str, Any]:
    """A row of the comparison as names and plain values, for JSON and CSV; `drawn`: what any row has sampled."""
    found: dict[str, Any] = {
        "method": row.method,
        "settings": row.settings,
        "reference": reference,
        "runs": row.runs,
        "done": len(row.seeds),
        "seeds": " ".join(map(str, row.seeds)),
    }
    for head in ("predict", "explain"):
        found |= _estimate(f"{head}_accuracy", row.accuracy.get(head))
        found |= _estimate(f"{head}_difference", row.difference.get(head))
    for head, what in drawn:
        found |= _estimate(f"{head}_{what}", row.sampled.get((head, what)))
    return found | {
        "train_seconds": row.seconds,
        "teacher_calls": row.cost.calls,
        "samples_bought": row.cost.bought,
        "input_tokens_bought": row.cost.input_tokens,
        "output_tokens_bought": row.cost.output_tokens,
        "samples_reused": row.cost.reused,
        "input_tokens_reused": row.cost.reused_input_tokens,
        "output_tokens_reused": row.cost.reused_output_tokens,
        "price_usd": None if row.cost.unpriced else row.cost.price_usd,
        "requests_of_unknown_price": row.cost.unpriced,
    }


def _estimate(name: str, estimate: Any) -> dict[str, Any]:
    if estimate is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high", f"{name}_seeds", f"{name}_interval"))
    return {
        name: estimate.value,
        f"{name}_low": estimate.low,
        f"{name}_high": estimate.high,
        f"{name}_seeds": estimate.seeds,
        f"{name}_interval": estimate.interval,
    }


def _columns(rows: list[dict[str, Any]], reference: str) -> list[Any]:
    from app.cli.output import Column, Row, share
    from app.cli.tables import usd
    from screens.widgets.words import UNKNOWN, count, three

    def accuracy(name: str) -> Any:
        return lambda row: share(row.get(name), row.get(f"{name}_low"), row.get(f"{name}_high"))

    def difference(name: str) -> Any:
        def cell(row: Row) -> str:
            value, low, high = (row[name + end] for end in ("", "_low", "_high"))
            if value is None:
                return UNKNOWN
            within = "" if low is None else f" ({_signed(low)} to {_signed(high)})"
            return _signed(value) + within

        return cell

    def tokens(row: Row) -> str:
        known = [row[f"{side}_tokens_bought"] for side in ("input", "output")]
        return " + ".join(count(number) for number in known) if any(n is not None for n in known) else UNKNOWN

    shown = _drawn(rows)
    settings = [Column("settings", lambda row: row["settings"] or UNKNOWN)] if any(r["settings"] for r in rows) else []
    return [
        Column("method", lambda row: row["method"], keep=True),
        *settings,
        Column("explain", accuracy("explain_accuracy"), right=True, keep=True),
        Column(f"explain − {reference}", difference("explain_difference"), right=True, keep=True),
        Column("predict", accuracy("predict_accuracy"), right=True, keep=True),
        Column(f"predict − {reference}", difference("predict_difference"), right=True),
        Column("seeds", lambda row: f"{row['done']}/{row['runs']}", right=True),
        Column("train s", lambda row: three(row["train_seconds"]), right=True),
        *(Column(key.replace("_", " "), accuracy(key), right=True) for key in shown),
        Column("calls", lambda row: count(row["teacher_calls"]), right=True),
        Column("bought", lambda row: count(row["samples_bought"]), right=True),
        Column("reused", lambda row: count(row["samples_reused"]), right=True),
        Column("tokens in + out", tokens, right=True),
        Column("price", lambda row: usd(row["price_usd"]), right=True),
    ]


def _drawn(rows: list[dict[str, Any]]) -> list[str]:
    """The columns of pass@k and maj@k that a table has room for: k of 1, 8 and the largest."""
    keys = [key for row in rows for key in row if "@" in key and key.rpartition("@")[2].isdigit()]
    largest = max((int(key.rpartition("@")[2]) for key in keys), default=0)
    kept = {key: None for key in keys if int(key.rpartition("@")[2]) in (1, 8, largest)}
    return [
        key
        for head in ("explain", "predict")
        for what in ("maj", "pass")
        for key in sorted(kept, key=lambda key: int(key.rpartition("@")[2]))
        if key.startswith(f"{head}_{what}")
    ]


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _notes(rows: list[dict[str, Any]]) -> list[str]:
    """What the intervals are, and which rows have too few seeds for one over seeds."""
    over = {row[key] for row in rows for key in row if key.endswith("_interval") and row[key]}
    notes = []
    if "t over seeds" in over:
        notes.append("± and brackets: 95 %, Student's t over seeds; differences are paired by seed")
    few = [row["method"] for row in rows if row["done"] == 1]
    if few:
        notes.append(
            f"one seed alone ({', '.join(dict.fromkeys(few))}): 95 % over test questions (Wilson; differences paired by"
            " question, Newcombe), which says nothing of how seeds vary"
        )
    for row in rows:
        if row["done"] < row["runs"]:
            notes.append(f"{row['method']}: {row['done']} of {row['runs']} runs are done")
    for row in rows:
        for head in ("explain", "predict"):
            if row[f"{head}_difference"] is not None and not row[f"{head}_difference_interval"]:
                notes.append(f"{row['method']}, {head}: other test questions than the reference's: no interval")
    calls, bought, reused = (
        sum(row[key] for row in rows) for key in ("teacher_calls", "samples_bought", "samples_reused")
    )
    if bought or reused:
        notes.append(f"teacher: {bought} samples bought in {calls} calls, {reused} times a stored one was reused")
    return notes
