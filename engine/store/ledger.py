"""What was asked of teachers and what came back: every request a row before it is sent, every completion a row once.

All writing goes through the one writer; a call's future resolves when its rows are on the disk.
"""

import hashlib
import json
import sqlite3
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from engine.records import Sample
from engine.store.texts import storable, store_texts
from engine.store.views import NEVER_SENT, alive
from engine.teacher.outcome import Answer, Completion, Fault

T = TypeVar("T")
CHUNK = 500
"""Keys looked up by one statement; SQLite takes 999 variables at least."""
LOST = "the worker ended before the answer came"
"""The error of an attempt that was under way then."""

State = Literal["done", "pending", "failed"]
Purpose = Literal["sample", "judge"]
"""What an answer is for: a rationale, or a verdict on one."""


class Writes(Protocol):
    """What the ledger needs of `store.writer.Writer`."""

    def call(self, fn: Callable[[sqlite3.Connection], T], among_many: bool = False) -> Future[T]:
        """Runs fn within the writer's transaction; the future resolves after the commit."""
        ...


@dataclass(frozen=True, slots=True)
class Stored:
    """A sample in the database."""

    id: int
    text: str
    reasoning: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What one try is about to ask for."""

    purpose: Purpose
    example: str
    model: str
    key: bytes
    """Of the question and how it is asked, without a slot."""
    slots: tuple[int, ...]
    input_tokens: int | None = None
    """Estimated."""
    greatest_usd: float | None = None
    """Most that it can cost; None: the price is unknown."""
    greatest_tokens: int | None = None
    """Most tokens, of input and output together, that it can take."""
    messages: Sequence[Mapping[str, str]] = ()
    """As they are sent, the last one the user's; kept so that what was asked can be read again."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The rows of a try that is under way."""

    request: int
    attempt: int


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
        return self.writer.call(lambda db: _stored(db, keys))

    def rename(self, keys: Mapping[bytes, bytes]) -> Future[None]:
        """Samples of older keys (new key -> older one), where there are any, get the keys they would have now."""
        pairs = list(keys.items())

        def run(db: sqlite3.Connection) -> None:
            db.executemany("UPDATE OR IGNORE samples SET key = ? WHERE key = ?", pairs)

        return self.writer.call(run)

    def begin(self, asked: Asked, attempt: int, request: int | None = None) -> Future[Sent]:
        """A try, number `attempt` of its request (a new one where None), is about to be sent."""

        return self.writer.call(lambda db: begin_rows(db, self.run_id, asked, attempt, request), among_many=True)

    def fail(self, sent: Sent, fault: Fault, last: bool) -> Future[None]:
        """The try brought nothing; `last`: there will be no other."""

        def run(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE attempts SET state = 'failed', ended_at = ?, status = ?, error = ?, billed = ? WHERE id = ?",
                (time.time(), fault.status, f"{fault.kind}: {fault.message}", fault.billed, sent.attempt),
            )
            db.execute("UPDATE requests SET state = ? WHERE id = ?", ("failed" if last else "pending", sent.request))

        return self.writer.call(run, among_many=True)

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
        raw = zlib.compress(storable(answer.raw).encode(), 1)
        fault = answer.fault

        def run(db: sqlite3.Connection) -> dict[bytes, Stored]:
            now = time.time()
            response = db.execute(
                "INSERT INTO responses (attempt_id, received_at, model, provider_id, input_tokens, output_tokens,"
                " reasoning_tokens, price_usd, raw) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    sent.attempt,
                    now,
                    answer.model and storable(answer.model),
                    answer.provider_id and storable(answer.provider_id),
                    answer.input_tokens,
                    answer.output_tokens,
                    answer.reasoning_tokens,
                    price_usd,
                    raw,
                ),
            ).lastrowid
            db.execute(
                "UPDATE attempts SET state = ?, ended_at = ?, status = 200, error = ?, billed = 1 WHERE id = ?",
                ("failed" if fault else "done", now, f"{fault.kind}: {fault.message}" if fault else None, sent.attempt),
            )
            db.execute("UPDATE requests SET state = ? WHERE id = ?", (state, sent.request))
            mine = {
                key: _insert_sample(db, key, model, completion, now, sent.attempt, response)
                for key, _, completion in bought
            }
            stored = {key: one for key, one in mine.items() if one is not None}
            if len(stored) < len(mine):
                stored |= _stored(db, [key for key, one in mine.items() if one is None])
            _use(db, self.run_id, ((e, slot, stored[key].id) for e in examples for key, slot, _ in bought))
            return stored

        return self.writer.call(run, among_many=True)

    def use(self, rows: Sequence[tuple[str, int, int]]) -> Future[None]:
        """This run uses samples that are stored already: (example, slot, sample id)."""
        return self.writer.call(lambda db: _use(db, self.run_id, rows))

    def record(self, model: str, samples: Sequence[Sample]) -> Future[None]:
        """Samples that no request was made for (replayed ones)."""

        def run(db: sqlite3.Connection) -> None:
            now = time.time()
            keys = [_recorded_key(model, s) for s in samples]
            for key, sample in zip(keys, samples, strict=True):
                _insert_sample(db, key, model, Completion(sample.text), now)
            stored = _stored(db, keys)
            _use(
                db,
                self.run_id,
                ((s.example_id, s.slot, stored[key].id) for key, s in zip(keys, samples, strict=True)),
            )

        return self.writer.call(run)


def begin_rows(
    db: sqlite3.Connection, run_id: int, asked: Asked, attempt: int, request: int | None, batch: int | None = None
) -> Sent:
    """The rows of a try that is about to be sent, by itself or in a batch."""
    now = time.time()
    row = request
    if row is None:
        turns = message = None
        if asked.messages:
            # worked examples are the same for every question, so that they are stored once
            parts = json.dumps(list(asked.messages[:-1])), asked.messages[-1]["content"]
            turns, message = store_texts(db, parts, "messages")
        row = db.execute(
            "INSERT INTO requests (run_id, purpose, example, model, asked, slots, state, input_tokens,"
            " greatest_usd, created_at, turns_id, message_id) VALUES (?, ?, ?, ?, ?, ?, 'sent', ?, ?, ?, ?, ?)",
            (
                run_id,
                asked.purpose,
                asked.example,
                asked.model,
                asked.key,
                json.dumps(asked.slots),
                asked.input_tokens,
                asked.greatest_usd,
                now,
                turns,
                message,
            ),
        ).lastrowid
    else:
        db.execute("UPDATE requests SET state = 'sent' WHERE id = ?", (row,))
    most = (asked.greatest_usd, asked.greatest_tokens)
    sent = db.execute(
        "INSERT INTO attempts (run_id, example, slots, attempt, state, sent_at, request_id, greatest_usd,"
        " greatest_tokens, batch_id) VALUES (?, ?, ?, ?, 'sent', ?, ?, ?, ?, ?)",
        (run_id, asked.example, len(asked.slots), attempt, now, row, *most, batch),
    ).lastrowid
    assert row is not None
    assert sent is not None
    return Sent(row, sent)


def _recorded_key(model: str, sample: Sample) -> bytes:
    """Over the text too: a file that changed gives other samples."""
    parts = (model, sample.example_id, str(sample.slot), sample.text)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()


def _insert_sample(
    db: sqlite3.Connection,
    key: bytes,
    model: str,
    completion: Completion,
    now: float,
    attempt_id: int | None = None,
    response_id: int | None = None,
) -> Stored | None:
    """None: there is one of that key already."""
    (text_id,) = store_texts(db, [completion.text])
    reasoning_id = store_texts(db, [completion.reasoning])[0] if completion.reasoning else None
    counts = (completion.input_tokens, completion.output_tokens)
    added = db.execute(
        "INSERT OR IGNORE INTO samples "
        "(key, model, text_id, finish, input_tokens, output_tokens, attempt_id, created_at, response_id, reasoning_id) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (key, model, text_id, completion.finish, *counts, attempt_id, now, response_id, reasoning_id),
    )
    if not added.rowcount or added.lastrowid is None:
        return None
    return Stored(
        added.lastrowid, storable(completion.text), storable(completion.reasoning) if completion.reasoning else None
    )


def stored_keys(conn: sqlite3.Connection, keys: Sequence[bytes]) -> set[bytes]:
    """Those of the keys that a sample is stored under."""
    found: set[bytes] = set()
    for start in range(0, len(keys), CHUNK):
        chunk = keys[start : start + CHUNK]
        marks = ",".join("?" * len(chunk))
        found.update(bytes(row[0]) for row in conn.execute(f"SELECT key FROM samples WHERE key IN ({marks})", chunk))
    return found


def _stored(db: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Stored]:
    found: dict[bytes, Stored] = {}
    for start in range(0, len(keys), CHUNK):
        chunk = keys[start : start + CHUNK]
        marks = ",".join("?" * len(chunk))
        rows = db.execute(
            "SELECT s.key, s.id, t.text, h.text FROM samples s JOIN texts t ON t.id = s.text_id"
            f" LEFT JOIN texts h ON h.id = s.reasoning_id WHERE s.key IN ({marks})",
            list(chunk),
        )
        found.update({bytes(key): Stored(number, *texts) for key, number, *texts in rows})
    return found


def _use(db: sqlite3.Connection, run_id: int, rows: Iterable[tuple[str, int, int]]) -> None:
    db.executemany(
        "INSERT INTO run_samples (run_id, example, slot, sample_id) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET sample_id = excluded.sample_id",
        ((run_id, example, slot, sample_id) for example, slot, sample_id in rows),
    )
