"""A run in a few numbers, for the end of a run and for `qcrd show`."""

import sqlite3

from engine.store.queries import Rows


def rationale_counts(conn: sqlite3.Connection, run_id: int) -> Rows:
    """polarity, source, count: the run's rationales by both."""
    return conn.execute(
        "SELECT polarity, source, count(*) AS count FROM rationales WHERE run_id = ?"
        " GROUP BY polarity, source ORDER BY polarity DESC, source DESC",
        (run_id,),
    ).fetchall()


def auc_by_source(conn: sqlite3.Connection, run_id: int) -> dict[str, float]:
    """The AUC of a run's discriminator or ranking model against each source of negatives: that of the stage "evaluate",
    else the last measured, else that of pre-training."""
    facts = conn.execute(
        "SELECT stage, name, value FROM facts WHERE run_id = ? AND name LIKE 'auc/%'", (run_id,)
    ).fetchall()
    found = {row["name"].removeprefix("auc/"): row["value"] for row in facts}
    found |= {
        row["name"].removeprefix("auc/"): row["value"]
        for row in conn.execute(
            # with a lone max(), SQLite takes the other columns from the row that has it
            "SELECT name, value, max(step) FROM metric_points WHERE run_id = ? AND name LIKE 'auc/%' GROUP BY name",
            (run_id,),
        )
    }
    found |= {row["name"].removeprefix("auc/"): row["value"] for row in facts if row["stage"] == "evaluate"}
    return {source: value for source, value in found.items() if value is not None}
