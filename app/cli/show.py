"""One run in full: its parts as data, and as text for a person. Model text is cleaned where it is printed."""

import json
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from app.cli.options import Format, command, with_database
from app.cli.output import Column, Row, write_table
from app.cli.tables import FACTS, SCORES, SPEND, STAGES, marks, text
from app.settings import POLL_SECONDS
from engine.exchange.results import plain
from engine.store import queries
from engine.store.connect import open_reader
from engine.store.ledger.spend import spend
from engine.store.runs.summary import auc_by_source, rationale_counts
from engine.text import clean, one_line
from screens.widgets.words import count, duration, three, two


def document(connection: sqlite3.Connection, run: sqlite3.Row) -> dict[str, Any]:
    """Everything the database holds about one run but its texts and curves."""
    run_id = int(run["id"])
    spec = connection.execute("SELECT spec FROM runs WHERE id = ?", (run_id,)).fetchone()["spec"]
    return {
        "run": dict(run),
        "stages": [dict(row) for row in queries.stages(connection, run_id)],
        "scores": [dict(row) for row in queries.scores(connection, run_id)],
        "facts": [dict(row) for row in queries.facts(connection, run_id)],
        "teachers": [dict(row) for row in spend(connection, run_id)],
        "rationales": [dict(row) for row in rationale_counts(connection, run_id)],
        "auc": auc_by_source(connection, run_id),
        "sessions": [dict(row) for row in queries.sessions(connection, run_id)],
        "provenance": {row["key"]: row["value"] for row in queries.provenance(connection, run_id)},
        "spec": json.loads(spec),
    }


def flat(found: Any, path: str = "") -> list[dict[str, Any]]:
    """A document as rows of key and value: `scores.0.accuracy`, 0.64."""
    if isinstance(found, dict | list):
        parts = found.items() if isinstance(found, dict) else enumerate(found)
        return [row for key, value in parts for row in flat(value, f"{path}.{key}" if path else str(key))]
    return [{"key": path, "value": found}]


def print_document(found: dict[str, Any], database: Path) -> None:
    """A run for a person."""
    run = found["run"]
    print(f"run {run['id']}: {one_line(run['name'])}, {run['status']}")
    if run["error"]:
        print(f"  error: {with_database(one_line(run['error']), database)}")
    if marked := marks(run, 4000):
        print(f"  {marked}")
    print(
        f"  {run['method']}: {text(run['student'])} learns {text(run['dataset'])} from {text(run['teacher'] or None)}"
    )
    steps = f"{count(run['step'])} of {count(run['steps'])} steps"
    took = duration(run["seconds"])
    print(f"  seed {run['seed']}, {steps}, iteration {run['iteration']} of {run['iterations']}, {took} of work")
    for title, rows, columns in (
        ("stages", found["stages"], STAGES),
        ("accuracies, with 95 % intervals", found["scores"], SCORES),
        ("counts and measures", found["facts"], FACTS),
        ("teachers", found["teachers"], SPEND),
        ("rationales", found["rationales"], _plain_columns("polarity", "source", "count")),
        (
            "discriminator's AUC",
            [{"against": k, "AUC": v} for k, v in found["auc"].items()],
            _plain_columns("against", "AUC"),
        ),
        (
            "provenance",
            [{"what": k, "value": v} for k, v in found["provenance"].items()],
            _plain_columns("what", "value"),
        ),
    ):
        if rows:
            print(f"\n{title}")
            write_table(rows, columns)
    whole = command(database, f"show {run['id']} --json")
    print(f"\nfolder {text(run['folder'])}; the whole spec: `{whole}`")


def print_pairs(rows: Sequence[Row]) -> None:
    """Questions with the positive and the negative that training last chose."""
    for row in rows:
        print(f"{one_line(row['example'])} · step {count(row['step'])} · iteration {row['iteration']}")
        _indented(row["question"])
        _remarks(row, "question_")
        print(f"  gold {text(row['gold'])} · vote {text(row['vote'])}")
        for sign, side in (("+", "positive"), ("−", "negative")):
            if row[side] is not None:
                source = one_line(row[f"{side}_source"])
                marks = [_numbers(row, f"{side}_"), source, f"answer {text(row[f'{side}_answer'])}"]
                if side == "negative" and not row["active"]:
                    marks.append("silent")
                print(f"{sign} {' · '.join(marks)}")
                _remarks(row, f"{side}_")
                _indented(row[side])
        print()


def print_rationales(rows: Sequence[Row]) -> None:
    """Rationales one by one; those of several questions say of which."""
    signs = {"positive": "+", "negative": "−"}
    last = None
    for row in rows:
        if "example" in row and row["example"] != last:
            last = row["example"]
            print(f"{one_line(row['example'])} · gold {text(row['gold'])} · vote {text(row['vote'])}")
            _indented(row["question"])
            _remarks(row, "question_")
        why = f" ({one_line(row['reason'])})" if row["reason"] else ""
        read = f"answer {text(row['answer'])} ({one_line(row['rule'])})"
        marks = [row["polarity"] + why, one_line(row["source"]), read]
        if row["iteration"]:
            marks.append(f"iteration {row['iteration']}")
        if row["step"] is not None:
            marks += [_numbers(row, ""), "chosen" if row["chosen"] else "not chosen"]
        print(f"{signs.get(row['polarity'], '·')} {row['number']} · {' · '.join(marks)}")
        _remarks(row, "")
        _indented(row["text"])
        print()


def _remarks(row: Row, prefix: str) -> None:
    flag, note = row[f"{prefix}flagged"], row[f"{prefix}note"]
    if flag or note:
        print("  " + " ".join(part for part in ("⚑" * bool(flag), note and f"✎ {one_line(note)}") if part))


def print_log(rows: Sequence[Row], database: Path) -> None:
    """Lines of a log; a traceback stands below its line."""
    for row in rows:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["at"]))
        stage = f"{one_line(row['stage'])}: " if row["stage"] else ""
        print(f"{at}  {row['level']:<7}  {stage}{with_database(one_line(row['message']), database)}")
        if row["detail"]:
            _indented(row["detail"])


def follow_log(database: Path, run_id: int, after: int, form: Format) -> None:
    """Print what is new in the log until the run ends; Ctrl-C ends the command, not the run."""
    try:
        while True:
            with closing(open_reader(database)) as connection:
                status = queries.find_run(connection, run_id)["status"]  # before the lines: none is missed at the end
                rows = [dict(row) for row in queries.log_tail(connection, run_id, after)]
            if form == "jsonl":
                for row in rows:
                    print(json.dumps(plain(row)))
            else:
                print_log(rows, database)
            sys.stdout.flush()
            after = rows[-1]["id"] if rows else after
            if status not in ("queued", "running", "paused"):
                print(f"run {run_id} is {status}", file=sys.stderr)
                return
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        return


def _numbers(row: Row, prefix: str) -> str:
    quality, loss, weight = (row[prefix + name] for name in ("quality", "cross_entropy", "weight"))
    return f"s {two(quality)}  CE {three(loss)}  weight {two(weight)}"


def _indented(words: str) -> None:
    for line in clean(words).splitlines():
        print(f"    {line}")


def _plain_columns(*names: str) -> list[Column]:
    return [Column(name, partial(_cell, name), right=name in ("count", "AUC"), fold=name == "value") for name in names]


def _cell(name: str, row: Row) -> str:
    return text(row[name])
