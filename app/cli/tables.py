"""The columns of the tables for people."""

import math
import time
from collections.abc import Sequence
from typing import Any

from app.cli.output import Column, Row, share
from engine.text import in_dollars, one_line
from screens.widgets.words import UNKNOWN, count, duration, three


def text(value: Any, width: int | None = None) -> str:
    """Any value of a row as one line."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bytes):
        return value.hex()
    return three(value) if isinstance(value, float) else one_line(str(value), width)


def measure(value: float | None) -> str:
    """A count as such, anything else with three digits: both are stored as floats."""
    whole = value is not None and math.isfinite(value) and value == int(value)
    return count(int(value)) if value is not None and whole else three(value)


def score(row: Row, head: str) -> str:
    """The accuracy of a head in a row of run_summary."""
    return share(*(row[f"{head}_accuracy{end}"] for end in ("", "_low", "_high")))


def progress(row: Row) -> str:
    """`1 312/2 000`, or the steps alone when all are done."""
    return count(row["steps"]) if row["step"] == row["steps"] else f"{count(row['step'])}/{count(row['steps'])}"


def base_name(value: str) -> str:
    """What a model, dataset or teacher is called, without the folders before it."""
    return value.rstrip("/").rpartition("/")[2] if value.startswith(("/", "replay:/")) else value


def took(row: Row) -> str:
    """How long a stage took, or has taken so far."""
    return UNKNOWN if row["state"] == "waiting" and not row["seconds"] else duration(row["seconds"])


def usd(value: float | None) -> str:
    """Dollars, unknown a dash."""
    return UNKNOWN if value is None else in_dollars(value)


def paid(row: Row) -> str:
    """The price of a row of teacher_spend, and of how many answers it does not tell."""
    if not row["unknown_prices"]:
        return usd(row["price_usd"] or 0.0)
    return "unknown" if row["price_usd"] is None else f"{usd(row['price_usd'])} and {row['unknown_prices']} unknown"


def bought(row: Row) -> str:
    """What a row of teacher_spend paid for: `60 samples`, `29 verdicts` of a judge of steps, or both."""
    samples = f"{count(row['bought_samples'])} samples"
    if row["verdicts"] is None:
        return samples
    verdicts = f"{count(row['verdicts'])} verdicts"
    return f"{samples} and {verdicts}" if row["bought_samples"] else verdicts


def doubt(row: Row) -> str:
    """The most that a row's calls without an answer may be on the bill with; empty where there are none."""
    if not row["in_doubt"]:
        return ""
    return "at an unknown price" if row["in_doubt_usd"] is None else f"at most {usd(row['in_doubt_usd'])}"


def marks(row: Row, width: int) -> str:
    """Star, tags and that it is archived, of a row of run_summary; the note where there is room left."""
    words = ["★" if row["star"] else "", "archived" if row["archived"] else "", row["tags"], row["note"]]
    return one_line(" ".join(words), width)


RUNS = [
    Column("id", lambda r: str(r["id"]), right=True, keep=True),
    Column("status", lambda r: r["status"], keep=True),
    Column("name", lambda r: one_line(r["name"], 40), keep=True),
    Column("method", lambda r: r["method"]),
    Column("explain", lambda r: score(r, "explain"), right=True, keep=True),
    Column("predict", lambda r: score(r, "predict"), right=True, keep=True),
    Column("on", lambda r: "val" if r["accuracy_split"] == "validation" else text(r["accuracy_split"]), keep=True),
    Column("step", progress, right=True),
    Column("seed", lambda r: str(r["seed"]), right=True),
    Column("age", lambda r: duration(time.time() - r["created_at"]), right=True),
    Column("student", lambda r: one_line(base_name(r["student"]), 30)),
    Column("dataset", lambda r: one_line(base_name(r["dataset"]), 30)),
    Column("teacher", lambda r: one_line(base_name(r["teacher"]), 30) or UNKNOWN),
    Column("marks", lambda r: marks(r, 30)),
]
POINTS = [
    Column("name", lambda r: r["name"]),
    Column("step", lambda r: count(r["step"]), right=True),
    Column("value", lambda r: three(r["value"]) if r["special"] is None else special(r["special"]), right=True),
]
STAGES = [
    Column("stage", lambda r: r["name"]),
    Column("state", lambda r: r["state"]),
    Column("done", lambda r: f"{count(r['done'])}/{count(r['total'])} {r['unit']}" if r["total"] else "", right=True),
    Column("time", took, right=True),
]
SCORES = [
    Column("split", lambda r: r["split"]),
    Column("who", lambda r: r["who"]),
    Column("head", lambda r: r["head"]),
    Column("accuracy", lambda r: share(r["accuracy"], r["low"], r["high"]), right=True),
    Column("right", lambda r: f"{measure(r['correct'])}/{count(r['total'])}", right=True),
    Column("step", lambda r: count(r["step"]), right=True),
]
FACTS = [
    Column("stage", lambda r: r["stage"]),
    Column("what", lambda r: r["name"]),
    Column("value", lambda r: measure(r["value"]), right=True),
]

REQUESTS = [
    Column("request", lambda r: text(r["request"]), right=True, keep=True),
    Column("state", lambda r: r["request_state"], keep=True),
    Column("example", lambda r: one_line(r["example"], 30), keep=True),
    Column("slots", lambda r: text(r["slots"], 24)),
    Column("try", lambda r: str(r["try"]), right=True),
    Column("price", lambda r: usd(r["price_usd"]), right=True),
    Column("at most", lambda r: usd(r["greatest_usd"]), right=True, keep=True),
    Column("tokens", lambda r: f"{text(r['input_tokens'])} + {text(r['output_tokens'])}", right=True),
    Column("model", lambda r: one_line(base_name(r["model"]), 30)),
    Column("error", lambda r: text(r["error"], 80)),
]
SPEND = [
    Column("teacher", lambda r: one_line(base_name(r["model"]), 40), keep=True),
    Column("calls", lambda r: count(r["calls"]), right=True, keep=True),
    Column("failed", lambda r: count(r["failed_calls"]), right=True),
    Column("bought", bought, right=True),
    Column("tokens", lambda r: f"{text(r['input_tokens'])} + {text(r['output_tokens'])}", right=True),
    Column("price", paid, right=True, keep=True),
    Column("in doubt", doubt, right=True),
    Column("reused", lambda r: count(r["reused_samples"]), right=True, keep=True),
    Column("worth", lambda r: usd(r["reused_usd"]) if r["reused_samples"] else "", right=True),
]


def special(word: str) -> str:
    """What is stored where a value is no finite number."""
    return {"inf": "∞", "-inf": "−∞"}.get(word, UNKNOWN)


def _whole(value: Any) -> str:
    """A number with all its digits: who asks in SQL rounds there."""
    return repr(value) if isinstance(value, float) else text(value, 120)


def columns_of(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Column]:
    """Columns for rows of any query: numbers to the right, texts cut."""

    def column(at: int, name: str) -> Column:
        numeric = all(isinstance(row[at], int | float) or row[at] is None for row in rows)
        return Column(one_line(name, 40), lambda row: _whole(row[name]), right=numeric)

    return [column(at, name) for at, name in enumerate(names)]
