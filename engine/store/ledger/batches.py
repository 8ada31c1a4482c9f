"""The rows of batches: jobs of a provider's batch API, each with its lines, which are requests of the ledger.

What comes of a line goes through `Ledger.finish` and `Ledger.fail`, as for a request of its own.
"""

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal

from engine.store.ledger.ledger import Ledger
from engine.store.ledger.rows import Asked, Begun, Purpose, Sent, begin_many
from engine.store.schema.views import alive

BatchState = Literal["written", "uploaded", "submitted"]


@dataclass(frozen=True, slots=True)
class Line:
    """A request of a batch that has no answer yet."""

    sent: Sent
    purpose: Purpose
    example: str
    key: bytes
    """Of what is asked, without a slot."""
    slots: tuple[int, ...]
    attempt: int
    greatest_usd: float | None
    greatest_tokens: int | None


@dataclass(frozen=True, slots=True)
class Job:
    """A batch that is not settled."""

    id: int
    tag: str
    """Ours, in the metadata of the provider's batch."""
    model: str
    state: BatchState
    provider_id: str | None
    tried_at: float | None
    """When its submission was last sent, in seconds since 1970."""
    size: int
    """Lines that it was written with."""
    lines: tuple[Line, ...]
    """Those that are not settled."""


@dataclass(frozen=True, slots=True)
class Held:
    """Requests that a run has in batches at a provider, without an answer yet."""

    run_id: int
    alive: bool
    """Whether it has a worker, which fetches them."""
    requests: int


def write(ledger: Ledger, tag: str, model: str, asked: Sequence[tuple[Asked, int, int | None]]) -> Future[Job]:
    """A batch is about to be sent: its row, and a request and a try for each of (what, number of the try, the request's
    row or None), in one transaction."""

    def run(db: sqlite3.Connection) -> Job:
        number = db.execute(
            "INSERT INTO batches (run_id, tag, model, state, lines, created_at) VALUES (?, ?, ?, 'written', ?, ?)",
            (ledger.run_id, tag, model, len(asked), time.time()),
        ).lastrowid
        assert number is not None
        sent = begin_many(db, [Begun(ledger.run_id, what, attempt, row, number) for what, attempt, row in asked])
        lines = tuple(
            Line(
                one,
                what.purpose,
                what.example,
                what.key,
                what.slots,
                attempt,
                what.greatest_usd,
                what.greatest_tokens,
            )
            for one, (what, attempt, _) in zip(sent, asked, strict=True)
        )
        return Job(number, tag, model, "written", None, None, len(lines), lines)

    return ledger.writer.call(run)


def unsettled(ledger: Ledger) -> Future[list[Job]]:
    """The run's batches that were written and not settled, oldest first."""
    return ledger.writer.call(lambda db: unsettled_rows(db, ledger.run_id))


def unsettled_rows(db: sqlite3.Connection, run_id: int) -> list[Job]:
    """As `unsettled`, on any connection."""
    rows = db.execute(
        "SELECT id, tag, model, state, provider_id, tried_at, lines FROM batches"
        " WHERE run_id = ? AND state <> 'ended' ORDER BY id",
        (run_id,),
    ).fetchall()
    return [
        Job(number, tag, model, state, provider, tried_at, size, _lines(db, number))
        for number, tag, model, state, provider, tried_at, size in rows
    ]


def _lines(db: sqlite3.Connection, batch: int) -> tuple[Line, ...]:
    rows = db.execute(
        "SELECT q.id, a.id, q.purpose, q.example, q.asked, q.slots, a.attempt, a.greatest_usd, a.greatest_tokens"
        " FROM attempts a JOIN requests q ON q.id = a.request_id WHERE a.batch_id = ? AND a.state = 'sent'"
        " ORDER BY a.id",
        (batch,),
    )
    return tuple(
        Line(Sent(request, attempt), purpose, example, bytes(key), tuple(json.loads(slots)), *rest)
        for request, attempt, purpose, example, key, slots, *rest in rows
    )


def with_others(ledger: Ledger, keys: Collection[bytes]) -> Future[list[Held]]:
    """What other runs have of these questions in batches at a provider, the oldest run first."""

    def run(db: sqlite3.Connection) -> list[Held]:
        rows = db.execute(
            f"SELECT q.run_id, {alive('r')}, q.asked FROM batches b JOIN runs r ON r.id = b.run_id"
            " JOIN attempts a ON a.batch_id = b.id AND a.state = 'sent' JOIN requests q ON q.id = a.request_id"
            # one whose submission may have arrived is there; one that was never sent, or is cancelled, is not
            " WHERE (b.state = 'submitted' OR b.state <> 'ended' AND b.tried_at IS NOT NULL) AND b.run_id <> ?"
            " AND b.status IS NOT 'cancelled' AND b.status IS NOT 'cancelling' ORDER BY q.run_id",
            (ledger.run_id,),
        )
        found = Counter((run_id, bool(lives)) for run_id, lives, asked in rows if bytes(asked) in keys)
        return [Held(run_id, lives, count) for (run_id, lives), count in found.items()]

    return ledger.writer.call(run)


def uploaded(ledger: Ledger, job: int, input_file: str) -> Future[None]:
    """The provider has the input file."""
    return _set(ledger, "state = 'uploaded', input_file = ?", input_file, job)


def tried(ledger: Ledger, job: int, at: float | None) -> Future[None]:
    """The submission is about to be sent; None: it surely never arrived."""
    return _set(ledger, "tried_at = ?", at, job)


def submitted(ledger: Ledger, job: int, provider_id: str) -> Future[None]:
    """The provider has the batch."""
    return _set(ledger, "state = 'submitted', provider_id = ?, submitted_at = ?", provider_id, time.time(), job)


def seen(
    ledger: Ledger, job: int, status: str, done: int, failed: int, files: tuple[str | None, str | None]
) -> Future[None]:
    """What the provider says of the batch; `files`: of its output and of its errors."""
    columns = "status = ?, lines_done = ?, lines_failed = ?, output_file = ?, error_file = ?"
    return _set(ledger, columns, status, done, failed, *files, job)


def ended(ledger: Ledger, job: int, error: str | None = None) -> Future[None]:
    """All its lines are settled."""
    return _set(ledger, "state = 'ended', ended_at = ?, error = ?", time.time(), error, job)


def note_status(db: sqlite3.Connection, job: int, status: str) -> None:
    """What the provider says of the batch, on any connection: a cancelled one keeps no other run waiting."""
    db.execute("UPDATE batches SET status = ? WHERE id = ?", (status, job))


def give_up(db: sqlite3.Connection, job: int, why: str) -> None:
    """Its answers are lost: its requests are in doubt, as after a kill."""
    now = time.time()
    db.execute(
        "UPDATE requests SET state = 'in_doubt' WHERE id IN"
        " (SELECT request_id FROM attempts WHERE batch_id = ? AND state = 'sent')",
        (job,),
    )
    db.execute(
        "UPDATE attempts SET state = 'failed', ended_at = ?, error = ? WHERE batch_id = ? AND state = 'sent'",
        (now, why, job),
    )
    db.execute("UPDATE batches SET state = 'ended', ended_at = ?, error = ? WHERE id = ?", (now, why, job))


def _set(ledger: Ledger, columns: str, *values: object) -> Future[None]:
    def run(db: sqlite3.Connection) -> None:
        db.execute(f"UPDATE batches SET {columns} WHERE id = ?", values)

    return ledger.writer.call(run)
