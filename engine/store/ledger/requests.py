"""The teachers' ledger as it is looked at: the queue, what fails and what it costs, and each request whole.

Every function takes an open connection and leaves no transaction behind. Texts are raw: cleaning is the drawing's part.
"""

import json
import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.store.schema.views import STALE_AFTER

STATES = ("pending", "sent", "done", "failed", "in_doubt")
"""Of a request; between two tries, under way, answered, given up, and: its worker ended before the answer came."""
PAGE = 1000
"""Requests that are listed at once."""
RECENT = 1000
"""Tries that the rate is taken from."""
MINUTE = 60.0
LONGEST_RAW = 1 << 20
"""Bytes of an answer that are read."""
TEXT = 2000
"""Characters of a name, a key or an error that are read."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Requests of a run that are sent and not answered, none of a batch; in doubt once its worker is gone."""

    run_id: int
    count: int
    greatest_usd: float | None
    """The most that they can cost together; None: some price is unknown."""
    status: str
    beat: float
    """Its worker's last sign of life, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Tries that failed alike."""

    kind: str
    status: int | None
    """HTTP."""
    tries: int
    last: str
    """The newest one's line, secrets removed."""


@dataclass(frozen=True, slots=True)
class Spending:
    """What a run bought of a model; a row of teacher_spend."""

    run_id: int
    model: str
    calls: int
    failed_calls: int
    bought: int
    input_tokens: int | None
    output_tokens: int | None
    price_usd: float | None
    unknown_prices: int
    in_doubt: int
    in_doubt_usd: float | None
    reused: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A job of a provider's batch API."""

    id: int
    run_id: int
    model: str
    state: str
    status: str | None
    lines: int
    done: int
    failed: int
    created_at: float
    error: str | None


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may spend; None: no limit."""

    usd: float | None
    tokens: int | None
    calls: int | None
    concurrency: int | None


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One request of the list; what its tries cost and took together."""

    id: int
    run_id: int
    state: str
    purpose: str
    model: str
    example: str
    slots: str
    tries: int
    price_usd: float | None
    greatest_usd: float | None
    output_tokens: int | None
    sent_at: float | None
    ended_at: float | None
    error: str | None
    batch: int | None


@dataclass(frozen=True, slots=True)
class Try:
    """One try of a request, and what came back."""

    id: int
    number: int
    state: str
    sent_at: float
    ended_at: float | None
    status: int | None
    error: str | None
    billed: bool | None
    greatest_usd: float | None
    batch: int | None
    price_usd: float | None
    input_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    answered_by: str | None
    provider_id: str | None
    raw: str | None
    """The answer as JSON, at most LONGEST_RAW bytes of it; None: nothing came, or it was not kept."""


@dataclass(frozen=True, slots=True)
class RequestSeen:
    """A request as it was sent, and its tries, oldest first."""

    row: RequestRow
    messages: tuple[tuple[str, str], ...] | None
    """Role and text of each; None: of a version that did not keep them."""
    question: str | None
    """Of the example; None for one that is not in the run's data."""
    tries: tuple[Try, ...]


@dataclass(frozen=True, slots=True)
class LedgerSeen:
    """All that is shown of a ledger at one moment."""

    counts: tuple[tuple[str, int], ...]
    """Requests by state, as stored; `in_state` counts those in doubt by the clock."""
    doubt_usd: float | None
    """The most that those in doubt can have cost; None: some price is unknown. `with_clock` adds the lost."""
    under_way: tuple[UnderWay, ...]
    tries: int
    retries: int
    answered: tuple[tuple[float, float], ...]
    """Of the newest answers: seconds since 1970 at which each came, and seconds that it took."""
    failures: tuple[Failure, ...]
    spending: tuple[Spending, ...]
    budgets: tuple[tuple[int, Budget], ...]
    batches: tuple[Batch, ...]
    listed: tuple[RequestRow, ...]
    state: str | None
    """Of those listed; None: any."""
    lost: int = 0
    """Of those stored as sent: their worker is gone."""
    rate: float | None = None
    """Answers a minute now; None: nobody works."""

    def in_state(self, state: str) -> int:
        """Requests in a state now."""
        stored = dict(self.counts).get(state, 0)
        return stored + {"sent": -self.lost, "in_doubt": self.lost}.get(state, 0)

    @property
    def listed_of(self) -> int:
        """Requests that the list would have without pages."""
        return sum(n for _, n in self.counts) if self.state is None else self.in_state(self.state)


GREATEST = "CASE WHEN count(*) = count({0}greatest_usd) THEN coalesce(sum({0}greatest_usd), 0.0) END"
"""Of requests: the most that a try of each can cost, together; null where one's price is unknown."""


def with_clock(seen: LedgerSeen, now: float) -> LedgerSeen:
    """What is sent by a worker that is gone is in doubt; the rate is that of the last minute."""
    alive = [u for u in seen.under_way if u.status in ("running", "paused") and now - u.beat <= STALE_AFTER]
    gone = [u for u in seen.under_way if u not in alive]
    lost = sum(u.count for u in gone)
    most = [seen.doubt_usd, *(u.greatest_usd for u in gone)]
    last = sum(now - MINUTE < at <= now for at, _ in seen.answered)
    full = len(seen.answered) == RECENT and last == RECENT
    span = now - min((at for at, _ in seen.answered), default=now) if full else MINUTE
    rate = last * MINUTE / max(span, 1.0) if alive or last else None
    living = {u.run_id for u in alive}
    listed = [_now(row, living) for row in seen.listed]
    return replace(
        seen,
        lost=lost,
        doubt_usd=None if None in most else sum(m for m in most if m is not None),
        rate=rate,
        listed=tuple(row for row in listed if seen.state in (None, row.state)),
    )


def _now(row: RequestRow, living: set[int]) -> RequestRow:
    lost = row.state == "sent" and row.batch is None and row.run_id not in living
    return replace(row, state="in_doubt") if lost else row


def read_ledger(con: sqlite3.Connection, run_id: int | None, state: str | None, page: int) -> LedgerSeen:
    """The ledger of a run, or of all; of the list the requests of one state (or all), newest first, page from 0."""
    # of all runs: one by one, since each has its part of an index
    of, key = (
        ("WHERE {}run_id = ?", (run_id,)) if run_id is not None else ("WHERE {}run_id IN (SELECT id FROM runs)", ())
    )
    counts = con.execute(f"SELECT state, count(*) FROM requests {of.format('')} GROUP BY state", key).fetchall()
    doubt = con.execute(
        f"SELECT {GREATEST.format('')} FROM requests {of.format('')} AND state = 'in_doubt'", key
    ).fetchone()[0]
    tries, retries = con.execute(
        f"SELECT coalesce(sum(tries), 0), coalesce(sum(retries), 0) FROM spending {of.format('')}", key
    ).fetchone()
    answered = con.execute(
        "SELECT ended_at, ended_at - sent_at FROM"
        f" (SELECT state, sent_at, ended_at, batch_id FROM attempts {of.format('')} ORDER BY id DESC LIMIT ?)"
        " WHERE state = 'done' AND batch_id IS NULL",
        (*key, RECENT),
    ).fetchall()
    return LedgerSeen(
        counts=tuple(counts),
        doubt_usd=doubt,
        under_way=_under_way(con, of.format("q."), key),
        tries=tries,
        retries=retries,
        answered=tuple(answered),
        failures=_failures(con, of.format("a."), key),
        spending=_spending(con, of.format(""), key),
        budgets=_budgets(con, run_id),
        batches=_batches(con, of.format(""), key),
        listed=_listed(con, run_id, state, page),
        state=state,
    )


def _under_way(con: sqlite3.Connection, where: str, key: Sequence[Any]) -> tuple[UnderWay, ...]:
    rows = con.execute(
        f"SELECT r.id, count(*), {GREATEST.format('q.')}, r.status,"
        " coalesce(r.heartbeat_at, r.started_at, r.created_at)"
        f" FROM requests q JOIN runs r ON r.id = q.run_id {where} AND q.state = 'sent' AND NOT EXISTS"
        " (SELECT 1 FROM attempts a WHERE a.request_id = q.id AND a.state = 'sent' AND a.batch_id IS NOT NULL)"
        " GROUP BY r.id",
        key,
    )
    return tuple(UnderWay(*row) for row in rows)


def _failures(con: sqlite3.Connection, where: str, key: Sequence[Any]) -> tuple[Failure, ...]:
    """By what stands before the first colon, which is the kind; the commonest first. SQLite gives a bare column the
    value that it has in the row of max()."""
    rows = con.execute(
        "SELECT CASE WHEN instr(a.error, ': ') BETWEEN 2 AND 20 THEN substr(a.error, 1, instr(a.error, ': ') - 1)"
        "  ELSE 'lost' END AS kind, a.status, count(*),"
        f" substr(a.error, 1, {TEXT}), max(a.id) FROM attempts a {where} AND a.state = 'failed' AND a.error IS NOT NULL"
        " GROUP BY kind, a.status ORDER BY count(*) DESC, kind LIMIT 20",
        key,
    )
    return tuple(Failure(kind, status, tries, last) for kind, status, tries, last, _ in rows)


def _spending(con: sqlite3.Connection, where: str, key: Sequence[Any]) -> tuple[Spending, ...]:
    rows = con.execute(
        f"SELECT run_id, substr(model, 1, {TEXT}), calls, failed_calls, bought_samples, input_tokens, output_tokens,"
        f" price_usd, unknown_prices, in_doubt, in_doubt_usd, reused_samples FROM teacher_spend {where}"
        " ORDER BY run_id DESC, model",
        key,
    )
    return tuple(Spending(*row) for row in rows)


def _budgets(con: sqlite3.Connection, run_id: int | None) -> tuple[tuple[int, Budget], ...]:
    where, key = (
        ("WHERE id = ?", (run_id,)) if run_id is not None else ("WHERE id IN (SELECT run_id FROM requests)", ())
    )
    found = []
    for run, spec in con.execute(f"SELECT id, spec FROM runs {where}", key):
        try:
            teacher = json.loads(spec).get("teacher") or {}
        except (ValueError, AttributeError):
            teacher = {}
        names = ("budget_usd", "budget_tokens", "budget_calls", "concurrency")
        found.append((run, Budget(*(teacher.get(name) for name in names))))
    return tuple(found)


def _batches(con: sqlite3.Connection, where: str, key: Sequence[Any]) -> tuple[Batch, ...]:
    rows = con.execute(
        f"SELECT id, run_id, substr(model, 1, {TEXT}), state, status, lines, lines_done, lines_failed, created_at,"
        f" substr(error, 1, {TEXT}) FROM batches {where} ORDER BY id DESC LIMIT 50",
        key,
    )
    return tuple(Batch(*row) for row in rows)


REQUESTS = f"""
SELECT q.id, q.run_id, q.state, q.purpose, substr(q.model, 1, {TEXT}), substr(q.example, 1, {TEXT}), q.slots,
       (SELECT count(*) FROM attempts a WHERE a.request_id = q.id),
       (SELECT sum(p.price_usd) FROM attempts a JOIN responses p ON p.attempt_id = a.id WHERE a.request_id = q.id),
       q.greatest_usd,
       (SELECT sum(p.output_tokens) FROM attempts a JOIN responses p ON p.attempt_id = a.id WHERE a.request_id = q.id),
       l.sent_at, l.ended_at, substr(l.error, 1, {TEXT}), l.batch_id
FROM requests q
LEFT JOIN attempts l ON l.id = (SELECT max(a.id) FROM attempts a WHERE a.request_id = q.id)
"""


def _listed(con: sqlite3.Connection, run_id: int | None, state: str | None, page: int) -> tuple[RequestRow, ...]:
    """A page of the list. Whether what is sent is in doubt is a question of the clock: the two are read together."""
    states = ("sent", "in_doubt") if state in ("sent", "in_doubt") else STATES if state is None else (state,)
    where, key = ("run_id = ? AND", [run_id]) if run_id is not None else ("", [])
    rows = con.execute(
        # the page's ids first: what is told of a request is then looked up for those alone
        f"{REQUESTS} WHERE q.id IN (SELECT id FROM requests WHERE {where} state IN ({', '.join('?' * len(states))})"
        " ORDER BY id DESC LIMIT ? OFFSET ?) ORDER BY q.id DESC",
        (*key, *states, PAGE, page * PAGE),
    )
    return tuple(RequestRow(*row) for row in rows)


def read_request(con: sqlite3.Connection, request: int) -> RequestSeen | None:
    """One request whole; None where there is none."""
    row = con.execute(f"{REQUESTS} WHERE q.id = ?", (request,)).fetchone()
    if row is None:
        return None
    seen = RequestRow(*row)
    question = con.execute(
        "SELECT x.question FROM run_datasets d JOIN examples x ON x.dataset_id = d.dataset_id AND x.key = ?"
        " WHERE d.run_id = ?",
        (seen.example, seen.run_id),
    ).fetchone()
    sent = con.execute(
        "SELECT t.text, m.text FROM requests q JOIN messages t ON t.id = q.turns_id"
        " JOIN messages m ON m.id = q.message_id WHERE q.id = ?",
        (request,),
    ).fetchone()
    tries = con.execute(
        f"SELECT a.id, a.attempt, a.state, a.sent_at, a.ended_at, a.status, substr(a.error, 1, {TEXT}), a.billed,"
        " a.greatest_usd, a.batch_id, p.price_usd, p.input_tokens, p.output_tokens, p.reasoning_tokens, p.model,"
        " p.provider_id, p.raw FROM attempts a LEFT JOIN responses p ON p.attempt_id = a.id"
        " WHERE a.request_id = ? ORDER BY a.id",
        (request,),
    ).fetchall()
    return RequestSeen(
        seen,
        None if sent is None else (*_turns(sent[0]), ("user", sent[1])),
        question[0] if question else None,
        tuple(_try(row) for row in tries),
    )


def _try(row: tuple[Any, ...]) -> Try:
    values: list[Any] = [*row[:-1], unpacked(row[-1])]
    return Try(*values)


def _turns(stored: str) -> list[tuple[str, str]]:
    """The messages before the last."""
    try:
        return [(str(turn["role"]), str(turn["content"])) for turn in json.loads(stored)]
    except (ValueError, TypeError, KeyError):
        return [("?", stored)]


def unpacked(raw: bytes | None) -> str | None:
    """The stored answer as text; of a long one the beginning, of one that is damaged a word that says so."""
    if raw is None:
        return None
    try:
        return zlib.decompressobj().decompress(raw, LONGEST_RAW).decode("utf-8", "replace")
    except zlib.error as error:
        return f"(cannot be read: {error})"
