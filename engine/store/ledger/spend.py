"""What a run's samples cost: by teacher, for people and for the run's facts."""

import sqlite3

from engine.store.queries import Rows
from engine.store.recorder import Recorder
from engine.store.runs.run import worker_is_gone

FACTS = {
    "calls": "calls",
    "calls that failed": "failed_calls",
    "samples bought": "bought_samples",
    "samples reused": "reused_samples",
    "price in USD": "price_usd",
    "answers of unknown price": "unknown_prices",
    "calls in doubt": "in_doubt",
}
"""Names of the facts, by column of `teacher_spend`."""


def spend(conn: sqlite3.Connection, run_id: int) -> Rows:
    """The run's rows of `teacher_spend`, the teachers by name, with the `verdicts` that each gave as judge of steps
    (null where it was not asked for any)."""
    verdicts = """
        SELECT sum(r.state = 'done') FROM requests r
        WHERE r.run_id = s.run_id AND r.model = s.model AND r.purpose = 'judge'"""
    rows = f"SELECT s.*, ({verdicts}) AS verdicts FROM teacher_spend s WHERE s.run_id = ? ORDER BY s.model"
    return conn.execute(rows, (run_id,)).fetchall()


def requests_of(conn: sqlite3.Connection, run_id: int | None, state: str | None) -> Rows:
    """Rows of `teacher_requests` of a run (None: of all), in the order they were sent; `state`: only requests in it.

    In doubt are those that a killed worker left open, marked by a resume or not yet.
    """
    # the view goes by the heartbeat, which is missed some seconds after a kill
    runs = [run_id] if run_id is not None else [row[0] for row in conn.execute("SELECT DISTINCT run_id FROM attempts")]
    gone = ", ".join(str(run) for run in runs if worker_is_gone(conn, run))
    open_now = f"(in_doubt OR (batch IS NULL AND run_id IN ({gone})))"
    lost = f"(request_state = 'in_doubt' OR (state = 'sent' AND {open_now}))"
    terms = {None: "1", "in_doubt": lost, "sent": f"request_state = 'sent' AND NOT {lost}"}
    return conn.execute(
        f"SELECT * FROM teacher_requests WHERE {terms.get(state, 'request_state = :state')}"
        f" AND {'1' if run_id is None else 'run_id = :run'} ORDER BY attempt",
        {"state": state, "run": run_id},
    ).fetchall()


def note_spend(recorder: Recorder) -> None:
    """Store the run's sums over all its teachers as facts of the stage "sample"."""
    rows = recorder.writer.call(lambda conn: [dict(row) for row in spend(conn, recorder.run_id)]).result()
    for name, column in FACTS.items():
        known = [row[column] for row in rows if row[column] is not None]
        recorder.fact("sample", name, sum(known) if known else None)
