"""What a comparison reads of finished runs: accuracies on the test split, times, and what the teacher cost."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.store.ledger.spend import spend

SPLIT = "test"


@dataclass(frozen=True, slots=True)
class Score:
    """An accuracy of one run with its 95 % interval over questions."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run asked of its teacher."""

    calls: int = 0
    """Requests sent, failed ones included."""
    bought: int = 0
    """Samples that this run paid for."""
    reused: int = 0
    """Samples that were stored already, or recorded in a file."""
    input_tokens: int | None = None
    """Of the bought samples; None where the server did not say."""
    output_tokens: int | None = None
    reused_input_tokens: int | None = None
    """As those, of the reused samples."""
    reused_output_tokens: int | None = None
    price_usd: float | None = 0.0
    """Of what was bought, as far as it is known."""
    unpriced: int = 0
    """Requests that are or may be on the bill and whose price nobody knows."""


@dataclass(frozen=True, slots=True)
class Result:
    """One run of a comparison."""

    run_id: int
    status: str
    method: str
    seed: int
    spec: dict[str, Any]
    scores: dict[tuple[str, str], Score]
    """By head and what: "" is the greedy answer, "pass@8", "maj@8"; empty unless the run is done."""
    seconds: float | None
    """Of training, by all processes together."""
    cost: Cost


def read_results(conn: sqlite3.Connection, run_ids: Sequence[int]) -> list[Result]:
    """Those runs, in that order."""
    return [_result(conn, run_id) for run_id in run_ids]


def group_run_ids(conn: sqlite3.Connection, group_id: int) -> list[int]:
    """The group's runs, in order."""
    rows = conn.execute("SELECT run_id FROM group_runs WHERE group_id = ? ORDER BY position", (group_id,)).fetchall()
    return [int(row["run_id"]) for row in rows]


def paired_verdicts(conn: sqlite3.Connection, first: int, second: int, head: str) -> tuple[int, int, int, int] | None:
    """(both right, the first alone, the second alone, neither) over the test questions that both runs answered.

    None where they were not asked the same questions.
    """
    row = conn.execute(
        "SELECT sum(a.correct AND b.correct), sum(a.correct AND NOT b.correct), sum(b.correct AND NOT a.correct),"
        " sum(NOT a.correct AND NOT b.correct)"
        " FROM predictions a JOIN predictions b ON b.run_id = ?2 AND b.split = a.split AND b.example = a.example"
        " AND b.head = a.head AND b.correct IS NOT NULL"
        " JOIN run_datasets d ON d.run_id = ?1 JOIN run_datasets e ON e.run_id = ?2 AND e.dataset_id = d.dataset_id"
        " WHERE a.run_id = ?1 AND a.split = ?3 AND a.head = ?4 AND a.correct IS NOT NULL",
        (first, second, SPLIT, head),
    ).fetchone()
    return None if row[0] is None else (int(row[0]), int(row[1]), int(row[2]), int(row[3]))


def _result(conn: sqlite3.Connection, run_id: int) -> Result:
    run = conn.execute("SELECT * FROM run_summary WHERE id = ?", (run_id,)).fetchone()
    spec = conn.execute("SELECT spec FROM runs WHERE id = ?", (run_id,)).fetchone()["spec"]
    found = conn.execute(
        # with a lone max(), SQLite takes the other columns from the row that has it
        "SELECT who, head, max(step), accuracy, low, high FROM scores"
        " WHERE run_id = ? AND split = ? AND (who = 'student' OR who LIKE 'student %') GROUP BY who, head",
        (run_id, SPLIT),
    ).fetchall()
    scores = {
        (row["head"], row["who"].removeprefix("student").strip()): Score(row["accuracy"], row["low"], row["high"])
        for row in found
    }
    train = conn.execute("SELECT seconds FROM stages WHERE run_id = ? AND name = 'train'", (run_id,)).fetchone()
    return Result(
        run_id=run_id,
        status=run["status"],
        method=run["method"],
        seed=run["seed"],
        spec=json.loads(spec),
        scores=scores if run["status"] == "done" else {},
        seconds=train["seconds"] or None if train else None,
        cost=_cost(conn, run_id),
    )


def _cost(conn: sqlite3.Connection, run_id: int) -> Cost:
    parts = {
        row["bought"]: row
        for row in conn.execute(
            "SELECT bought, count(*) AS samples, sum(input_tokens) AS input, sum(output_tokens) AS output FROM ("
            " SELECT DISTINCT s.id, s.input_tokens, s.output_tokens, coalesce(a.run_id = u.run_id, 0) AS bought"
            " FROM run_samples u JOIN samples s ON s.id = u.sample_id LEFT JOIN attempts a ON a.id = s.attempt_id"
            " WHERE u.run_id = ?) GROUP BY bought",
            (run_id,),
        )
    }
    bought, reused = parts.get(1), parts.get(0)
    paid = spend(conn, run_id)
    return Cost(
        calls=sum(row["calls"] for row in paid),
        bought=bought["samples"] if bought else 0,
        reused=reused["samples"] if reused else 0,
        input_tokens=bought["input"] if bought else None,
        output_tokens=bought["output"] if bought else None,
        reused_input_tokens=reused["input"] if reused else None,
        reused_output_tokens=reused["output"] if reused else None,
        price_usd=sum(row["price_usd"] or 0.0 for row in paid),
        unpriced=sum(row["unknown_prices"] + row["in_doubt"] for row in paid),
    )
