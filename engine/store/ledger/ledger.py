"""What was asked of teachers and what came back: every request a row before it is sent, every completion a row once.

All writing goes through the one writer; a call's future resolves when its rows are on the disk.
"""

import hashlib
import json
import sqlite3
import time
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

from engine.records import Sample
from engine.store.ledger.rows import (
    Asked,
    Begun,
    Failed,
    Finished,
    Sent,
    State,
    Stored,
    begin_many,
    fail_many,
    finish_many,
    insert_samples,
    stored_samples,
    use_samples,
)
from engine.store.schema.views import NEVER_SENT, alive
from engine.store.texts import VARIABLES, storable
from engine.teacher.outcome import Answer, Completion, Fault

T = TypeVar("T")
One = TypeVar("One")
LOST = "the worker ended before the answer came"
"""The error of an attempt that was under way then."""


class Writes(Protocol):
    """What the ledger needs of `store.writer.Writer`."""

    def call(self, fn: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Runs fn within the writer's transaction; the future resolves after the commit."""
        ...

    def together(self, fn: Callable[[sqlite3.Connection, Sequence[One]], Sequence[T]], one: One) -> Future[T]:
        """The same, fn being given all that come at once, and giving a result for each."""
        ...


@dataclass(frozen=True, slots=True)
class InDoubt:
    """A request that was under way when its worker was killed."""

    key: bytes
    slots: tuple[int, ...]
    greatest_usd: float | None


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run's tries have cost so far, doubtful ones at the most that they can have cost."""

    usd: float = 0.0
    tokens: int = 0
    calls: int = 0
    unpriced: int = 0
    """Tries that may be on the bill and whose price nobody knows: not in `usd`."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The teacher's rows of one run."""

    writer: Writes
    run_id: int

    def close_stray(self) -> Future[int]:
        """Requests whose answer never arrived, since the process ended, become in doubt; how many there were.

        Not those in a batch: the provider works on it whether we are there or not.
        """

        def run(db: sqlite3.Connection) -> int:
            found = db.execute(
                "UPDATE attempts SET state = 'failed', ended_at = ?, error = ? WHERE run_id = ? AND state = 'sent'"
                " AND batch_id IS NULL",
                (time.time(), LOST, self.run_id),
            ).rowcount
            db.execute(
                "UPDATE requests SET state = 'in_doubt' WHERE run_id = ? AND state = 'sent' AND NOT EXISTS"
                " (SELECT 1 FROM attempts a WHERE a.request_id = requests.id AND a.state = 'sent')",
                (self.run_id,),
            )
            db.execute("UPDATE requests SET state = 'failed' WHERE run_id = ? AND state = 'pending'", (self.run_id,))
            return found

        return self.writer.call(run)

    def claim(self, keys: Collection[bytes]) -> Future[int | None]:
        """Takes these questions (`Request.key`) for this run to buy, in place of those it had; None then.

        Where a living run has one of them it takes none and gives that run. One transaction: of two at once, one waits.
        """

        def run(db: sqlite3.Connection) -> int | None:
            db.execute("DELETE FROM claims WHERE run_id = ?", (self.run_id,))
            others = db.execute(
                "SELECT r.id FROM runs r WHERE EXISTS (SELECT 1 FROM claims WHERE run_id = r.id)"
                f" AND {alive('r')} ORDER BY r.id"
            ).fetchall()
            for (other,) in others:
                taken = db.execute("SELECT asked FROM claims WHERE run_id = ?", (other,))
                if any(bytes(key) in keys for (key,) in taken):
                    return int(other)
            db.executemany("INSERT INTO claims (run_id, asked) VALUES (?, ?)", [(self.run_id, key) for key in keys])
            return None

        return self.writer.call(run)

    def in_doubt(self) -> Future[list[InDoubt]]:
        """All requests of the run that ever were in doubt, bought again since or not."""

        def run(db: sqlite3.Connection) -> list[InDoubt]:
            rows = db.execute(
                "SELECT asked, slots, greatest_usd FROM requests WHERE run_id = ? AND state = 'in_doubt' ORDER BY id",
                (self.run_id,),
            )
            return [InDoubt(bytes(key), tuple(json.loads(slots)), greatest) for key, slots, greatest in rows]

        return self.writer.call(run)

    def spent(self) -> Future[Spent]:
        """What the run has bought in all its sessions."""

        def run(db: sqlite3.Connection) -> Spent:
            usd, tokens, calls, unpriced = db.execute(
                "SELECT sum(usd), sum(tokens), sum(seen), sum(doubtful AND usd IS NULL) FROM ("
                f" SELECT a.billed IS NOT 0 AS doubtful, NOT {NEVER_SENT} AS seen,"
                "  CASE WHEN a.billed IS NOT 0 THEN coalesce(r.price_usd, a.greatest_usd) END AS usd,"
                "  CASE WHEN a.billed IS NOT 0"
                "   THEN coalesce(r.input_tokens + r.output_tokens, a.greatest_tokens) END AS tokens"
                " FROM attempts a LEFT JOIN responses r ON r.attempt_id = a.id WHERE a.run_id = ?)",
                (self.run_id,),
            ).fetchone()
            return Spent(usd or 0.0, tokens or 0, calls or 0, unpriced or 0)

        return self.writer.call(run)

    def stored(self, keys: Sequence[bytes]) -> Future[dict[bytes, Stored]]:
        """Those of the samples that any run has bought already."""
        return self.writer.call(lambda db: stored_samples(db, keys))

    def rename(self, keys: Mapping[bytes, bytes]) -> Future[None]:
        """Samples of older keys (new key -> older one), where there are any, get the keys they would have now."""
        pairs = list(keys.items())

        def run(db: sqlite3.Connection) -> None:
            db.executemany("UPDATE OR IGNORE samples SET key = ? WHERE key = ?", pairs)

        return self.writer.call(run)

    def begin(self, asked: Asked, attempt: int, request: int | None = None) -> Future[Sent]:
        """A try, number `attempt` of its request (a new one where None), is about to be sent."""
        return self.writer.together(begin_many, Begun(self.run_id, asked, attempt, request))

    def fail(self, sent: Sent, fault: Fault, last: bool) -> Future[None]:
        """The try brought nothing; `last`: there will be no other."""
        state: State = "failed" if last else "pending"
        failed = Failed(sent, fault.status, f"{fault.kind}: {fault.message}", fault.billed, state)
        return self.writer.together(fail_many, failed)

    def finish(
        self,
        sent: Sent,
        model: str,
        answer: Answer,
        price_usd: float | None,
        bought: Sequence[tuple[bytes, int, Completion]],
        examples: Sequence[str],
        state: State = "done",
    ) -> Future[dict[bytes, Stored]]:
        """The try was answered: response, samples (key, slot, completion), which these examples use, and states are one
        transaction. `state`: of the request, pending where some of its slots are still open. Gives what is stored:
        another run's sample where that one was first."""
        response = (
            answer.model and storable(answer.model),
            answer.provider_id and storable(answer.provider_id),
            answer.input_tokens,
            answer.output_tokens,
            answer.reasoning_tokens,
            price_usd,
            _packed(storable(answer.raw)),
        )
        error = f"{answer.fault.kind}: {answer.fault.message}" if answer.fault else None
        finished = Finished(self.run_id, sent, model, response, error, state, bought, examples)
        return self.writer.together(finish_many, finished)

    def use(self, rows: Sequence[tuple[str, int, int]]) -> Future[None]:
        """This run uses samples that are stored already: (example, slot, sample id)."""
        return self.writer.call(lambda db: use_samples(db, [(self.run_id, *row) for row in rows]))

    def record(self, model: str, samples: Sequence[Sample]) -> Future[None]:
        """Samples that no request was made for (replayed ones)."""

        def run(db: sqlite3.Connection) -> None:
            now = time.time()
            keys = [_recorded_key(model, s) for s in samples]
            texts = [Completion(sample.text) for sample in samples]
            new = [(key, model, text, now, None, None) for key, text in zip(keys, texts, strict=True)]
            stored = insert_samples(db, new)
            pairs = zip(keys, samples, strict=True)
            use_samples(db, [(self.run_id, s.example_id, s.slot, stored[key].id) for key, s in pairs])

        return self.writer.call(run)


def _packed(text: str) -> bytes:
    """zlib with a small window, whose memory is at hand: the usual one's 256 KB were asked of the system at each call,
    which took six times as long as the compressing."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 13, 6)
    return packer.compress(text.encode()) + packer.flush()


def _recorded_key(model: str, sample: Sample) -> bytes:
    """Over the text too: a file that changed gives other samples."""
    parts = (model, sample.example_id, str(sample.slot), sample.text)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()


def stored_keys(conn: sqlite3.Connection, keys: Sequence[bytes]) -> set[bytes]:
    """Those of the keys that a sample is stored under."""
    found: set[bytes] = set()
    for start in range(0, len(keys), VARIABLES):
        chunk = keys[start : start + VARIABLES]
        marks = ",".join("?" * len(chunk))
        found.update(bytes(row[0]) for row in conn.execute(f"SELECT key FROM samples WHERE key IN ({marks})", chunk))
    return found
