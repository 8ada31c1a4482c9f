"""What people ask of a running run: rows that the worker looks at between two steps or groups of questions, and
signals."""

import sqlite3
import time
from pathlib import Path

from engine.errors import Interrupted, QcrdError
from engine.store.connect import open_reader
from engine.store.recorder import Recorder

LOOK_EVERY = 0.25
"""Seconds between two looks into the database."""


class Orders:
    """`poll` between two steps; `stop` and `checkpoint` then say what is wanted. For one thread, but `request_stop`."""

    def __init__(self, path: Path, run_id: int, recorder: Recorder, session_id: int | None = None) -> None:
        """`session_id`: notice, too, when another process has taken the run over from this session."""
        self.stop = False
        """Save a checkpoint and end."""
        self.checkpoint = False
        """Save a checkpoint and go on; whoever does so sets it back to False."""
        self.taken_over = False
        """Another process works on the run: end, and touch nothing of it any more."""
        self._run_id = run_id
        self._recorder = recorder
        self._session_id = session_id
        self._conn: sqlite3.Connection = open_reader(path)
        self._looked = float("-inf")
        self._paused = False
        self._announced = False
        self._offered = False
        self._seen = 0

    def request_stop(self) -> None:
        """As the order "stop". Only sets a flag: safe in a signal handler and from any thread."""
        self.stop = True

    def poll(self) -> None:
        """Take the orders that are there. While the run is paused, return only when it is resumed or stopped."""
        if time.monotonic() - self._looked >= LOOK_EVERY:
            self._look()
        while self._paused and not self.stop:
            if not self._announced:
                self._announced = True
                self._recorder.status("paused")
                self._recorder.log("info", "paused")
            if self.checkpoint and not self._offered:  # a caller that can save one does, and comes back here
                self._offered = True
                return
            time.sleep(LOOK_EVERY / 5)
            if time.monotonic() - self._looked >= LOOK_EVERY:
                self._look()
        if self._announced:
            self._paused = self._announced = False
            self._recorder.status("running")
            self._recorder.log("info", "stopping" if self.stop else "going on")

    def raise_if_stopped(self) -> None:
        """Poll, then raise Interrupted where the run is to end: for stages that have nothing to save."""
        self.poll()
        if self.taken_over:
            raise QcrdError(f"another process has taken over run {self._run_id}: this one ends")
        if self.stop:
            raise Interrupted(f"run {self._run_id} was asked to stop: `qcrd resume {self._run_id}` goes on")

    def close(self) -> None:
        """Close the connection that orders are read on."""
        self._conn.close()

    def _look(self) -> None:
        self._looked = time.monotonic()
        rows = self._conn.execute(
            "SELECT id, name FROM orders WHERE run_id = ? AND taken_at IS NULL AND id > ? ORDER BY id",
            (self._run_id, self._seen),
        ).fetchall()
        stop = pause = False
        for row in rows:
            match row["name"]:
                case "stop":
                    stop = True
                case "pause":
                    pause = True
                case "checkpoint":
                    self.checkpoint = True
                    self._offered = False
                case "resume":  # takes back what was asked before it
                    stop = pause = False
                    self._paused = False
        self.stop = self.stop or stop
        self._paused = self._paused or pause
        if rows:
            self._seen = rows[-1]["id"]
            self._recorder.writer.execute(
                "UPDATE orders SET taken_at = ? WHERE run_id = ? AND id <= ? AND taken_at IS NULL",
                (time.time(), self._run_id, self._seen),
            )
        if self._session_id is not None:
            last = self._conn.execute("SELECT max(id) FROM sessions WHERE run_id = ?", (self._run_id,)).fetchone()[0]
            if last is not None and last > self._session_id:
                self.taken_over = self.stop = True
