"""What was asked of teachers and what came back: every request a row before it is sent, every completion a row once.

All writing goes through the one writer; a call's future resolves when its rows are on the disk.
"""

import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

from engine.records import Sample
from engine.store.texts import store_texts
from engine.teacher.outcome import Completion, Fault

T = TypeVar("T")
CHUNK = 500
"""Keys looked up by one statement; SQLite takes 999 variables at least."""


class Writes(Protocol):
    """What the ledger needs of `store.writer.Writer`."""

    def call(self, fn: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Runs fn within the writer's transaction; the future resolves after the commit."""
        ...


@dataclass(frozen=True, slots=True)
class Stored:
    """A sample in the database."""

    id: int
    text: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """The teacher's rows of one run."""

    writer: Writes
    run_id: int

    def close_stray_attempts(self) -> Future[int]:
        """Requests whose answer never arrived, since the process ended, become failed; how many there were."""

        def run(db: sqlite3.Connection) -> int:
            return db.execute(
                "UPDATE attempts SET state = 'failed', ended_at = ?, error = 'the worker ended before the answer came' "
                "WHERE run_id = ? AND state = 'sent'",
                (time.time(), self.run_id),
            ).rowcount

        return self.writer.call(run)

    def stored(self, keys: Sequence[bytes]) -> Future[dict[bytes, Stored]]:
        """Those of the samples that any run has bought already."""
        return self.writer.call(lambda db: _stored(db, keys))

    def begin(self, example: str, slots: int, attempt: int) -> Future[int]:
        """A request is about to be sent, for so many samples, as try number `attempt`; gives its id."""

        def run(db: sqlite3.Connection) -> int:
            row = db.execute(
                "INSERT INTO attempts (run_id, example, slots, attempt, state, sent_at) VALUES (?, ?, ?, ?, 'sent', ?)",
                (self.run_id, example, slots, attempt, time.time()),
            )
            assert row.lastrowid is not None
            return row.lastrowid

        return self.writer.call(run)

    def fail(self, attempt_id: int, fault: Fault) -> Future[None]:
        """The request brought nothing."""

        def run(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE attempts SET state = 'failed', ended_at = ?, status = ?, error = ? WHERE id = ?",
                (time.time(), fault.status, f"{fault.kind}: {fault.message}", attempt_id),
            )

        return self.writer.call(run)

    def finish(
        self,
        attempt_id: int,
        model: str,
        bought: Sequence[tuple[bytes, int, Completion]],
        examples: Sequence[str],
    ) -> Future[dict[bytes, Stored]]:
        """The request brought samples (key, slot, completion), which these examples use; end and samples are one
        transaction. Gives what is stored: another run's sample where that one was first."""

        def run(db: sqlite3.Connection) -> dict[bytes, Stored]:
            now = time.time()
            db.execute("UPDATE attempts SET state = 'done', ended_at = ?, status = 200 WHERE id = ?", (now, attempt_id))
            for key, _, completion in bought:
                _insert_sample(db, key, model, completion, attempt_id, now)
            stored = _stored(db, [key for key, _, _ in bought])
            _use(db, self.run_id, ((e, slot, stored[key].id) for e in examples for key, slot, _ in bought))
            return stored

        return self.writer.call(run)

    def use(self, rows: Sequence[tuple[str, int, int]]) -> Future[None]:
        """This run uses samples that are stored already: (example, slot, sample id)."""
        return self.writer.call(lambda db: _use(db, self.run_id, rows))

    def record(self, model: str, samples: Sequence[Sample]) -> Future[None]:
        """Samples that no request was made for (replayed ones)."""

        def run(db: sqlite3.Connection) -> None:
            now = time.time()
            keys = [_recorded_key(model, s) for s in samples]
            for key, sample in zip(keys, samples, strict=True):
                _insert_sample(db, key, model, Completion(sample.text), None, now)
            stored = _stored(db, keys)
            _use(
                db,
                self.run_id,
                ((s.example_id, s.slot, stored[key].id) for key, s in zip(keys, samples, strict=True)),
            )

        return self.writer.call(run)


def _recorded_key(model: str, sample: Sample) -> bytes:
    """Over the text too: a file that changed gives other samples."""
    parts = (model, sample.example_id, str(sample.slot), sample.text)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()


def _insert_sample(
    db: sqlite3.Connection, key: bytes, model: str, completion: Completion, attempt_id: int | None, now: float
) -> None:
    (text_id,) = store_texts(db, [completion.text])
    db.execute(
        "INSERT OR IGNORE INTO samples "
        "(key, model, text_id, finish, input_tokens, output_tokens, attempt_id, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (key, model, text_id, completion.finish, completion.input_tokens, completion.output_tokens, attempt_id, now),
    )


def _stored(db: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Stored]:
    found: dict[bytes, Stored] = {}
    for start in range(0, len(keys), CHUNK):
        chunk = keys[start : start + CHUNK]
        marks = ",".join("?" * len(chunk))
        rows = db.execute(
            f"SELECT s.key, s.id, t.text FROM samples s JOIN texts t ON t.id = s.text_id WHERE s.key IN ({marks})",
            list(chunk),
        )
        found.update({bytes(key): Stored(number, text) for key, number, text in rows})
    return found


def _use(db: sqlite3.Connection, run_id: int, rows: Iterable[tuple[str, int, int]]) -> None:
    db.executemany(
        "INSERT OR REPLACE INTO run_samples (run_id, example, slot, sample_id) VALUES (?, ?, ?, ?)",
        ((run_id, example, slot, sample_id) for example, slot, sample_id in rows),
    )
