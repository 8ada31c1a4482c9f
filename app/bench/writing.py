"""A process that writes to a run as a worker does: `python -m app.bench.writing DATABASE RUN ROWS_PER_SECOND SECONDS`.

A step has a row in every series of the run, each tenth one a line of the log; four transactions a second, beats of
the heart among them. It writes until its standard input is closed, or for so many seconds, and prints how many rows.
"""

import select
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

from engine.store.connect import open_writer

TURN = 0.25
"""Seconds of a transaction."""
LOG_EVERY = 10
"""Steps."""


def write(path: Path, run_id: int, rate: float, seconds: float) -> int:
    """Write so many rows a second (0: a beat of the heart alone, every two seconds); gives how many."""
    with closing(open_writer(path, checkpoints=True)) as con:
        series = [row[0] for row in con.execute("SELECT id FROM series WHERE run_id = ? ORDER BY id", (run_id,))]
        began = time.monotonic()
        step = con.execute("SELECT step FROM runs WHERE id = ?", (run_id,)).fetchone()[0]
        rows = 0
        while time.monotonic() - began < seconds:
            con.execute("BEGIN IMMEDIATE")
            con.execute("UPDATE runs SET heartbeat_at = ?, step = ? WHERE id = ?", (time.time(), step, run_id))
            due = int(rate * min(seconds, time.monotonic() - began + TURN))
            while rows < due:
                step += 1
                rows += _step(con, run_id, series, step)
            con.execute("COMMIT")
            turn = TURN if rate else 2.0
            wait = max(0.0, turn - (time.monotonic() - began) % turn)
            if select.select([sys.stdin], [], [], wait)[0]:
                break
    return rows


def _step(con: sqlite3.Connection, run_id: int, series: list[int], step: int) -> int:
    now = time.time()
    con.executemany(
        "INSERT INTO points VALUES (?, ?, ?, NULL, ?)",
        [(key, step, 0.2 + 200 / (100 + step) + (step * 7919 + key * 104729) % 1000 / 5000, now) for key in series],
    )
    if step % LOG_EVERY:
        return len(series)
    con.execute(
        "INSERT INTO logs (run_id, at, level, stage, message) VALUES (?, ?, 'info', 'train', ?)",
        (run_id, now, f"step {step} · what a worker says of what it does, in a line of the usual length"),
    )
    return len(series) + 1


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
