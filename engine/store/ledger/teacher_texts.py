"""A run's teacher samples as they were paid for."""

import sqlite3

from engine.store.queries import Rows


def texts_of(conn: sqlite3.Connection, run_id: int) -> Rows:
    """example, slot, text, reasoning (hidden; null where there is none), finish, input_tokens, output_tokens of the
    samples that a run uses, by example and slot."""
    return conn.execute(
        "SELECT u.example, u.slot, t.text, h.text AS reasoning, s.finish, s.input_tokens, s.output_tokens"
        " FROM run_samples u JOIN samples s ON s.id = u.sample_id JOIN texts t ON t.id = s.text_id"
        " LEFT JOIN texts h ON h.id = s.reasoning_id"
        " WHERE u.run_id = ? ORDER BY u.example, u.slot",
        (run_id,),
    ).fetchall()
