"""The rows of many tries at once, a statement a table: a call pays for its rows, and not for a statement each.

SQLite gives Python's lock away and takes it back at every statement; beside an event loop that computes all the time
each of those is a wait. Everything here is within the caller's transaction.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.store.texts import VARIABLES, store_texts
from engine.teacher.outcome import Completion

State = Literal["done", "pending", "failed"]
Purpose = Literal["sample", "judge"]
"""What an answer is for: a rationale, or a verdict on one."""


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
class Begun:
    """A try that is about to be sent, by itself or in a batch."""

    run_id: int
    asked: Asked
    attempt: int
    """Its number among the request's tries, from 1."""
    request: int | None = None
    """The request's row; None: it is new."""
    batch: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """A try that brought nothing."""

    sent: Sent
    status: int | None
    error: str
    billed: bool | None
    state: State
    """Of the request from now on."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A try that was answered."""

    run_id: int
    sent: Sent
    model: str
    response: tuple[Any, ...]
    """model to price_usd of its row in responses, and the raw answer, compressed."""
    error: str | None
    """Why it brought no sample, where it did not."""
    state: State
    """Of the request from now on."""
    bought: Sequence[tuple[bytes, int, Completion]]
    """Key, slot and completion of each sample."""
    examples: Sequence[str]
    """Which use them."""


def begin_many(db: sqlite3.Connection, tries: Sequence[Begun]) -> list[Sent]:
    """Their rows: a request where it is new, and an attempt."""
    now = time.time()
    requests, attempts = _next(db, "requests"), _next(db, "attempts")
    kept = [one for one in tries if one.request is None and one.asked.messages]
    # worked examples are the same for every question, so that they are stored once
    turns = store_texts(db, [json.dumps(list(one.asked.messages[:-1])) for one in kept], "messages")
    last = store_texts(db, [one.asked.messages[-1]["content"] for one in kept], "messages")
    texts = {id(one): pair for one, *pair in zip(kept, turns, last, strict=True)}
    sent: list[Sent] = []
    new: list[tuple[Any, ...]] = []
    rows: list[tuple[Any, ...]] = []
    for number, one in enumerate(tries):
        asked, row = one.asked, one.request
        if row is None:
            row = requests + len(new)
            new.append(
                (
                    row,
                    one.run_id,
                    asked.purpose,
                    asked.example,
                    asked.model,
                    asked.key,
                    json.dumps(asked.slots),
                    "sent",
                    asked.input_tokens,
                    asked.greatest_usd,
                    now,
                    *texts.get(id(one), (None, None)),
                )
            )
        most = (asked.greatest_usd, asked.greatest_tokens)
        here = attempts + number
        rows.append(
            (here, one.run_id, asked.example, len(asked.slots), one.attempt, "sent", now, row, *most, one.batch)
        )
        sent.append(Sent(row, here))
    insert_many(
        db,
        "INSERT INTO requests (id, run_id, purpose, example, model, asked, slots, state, input_tokens, greatest_usd,"
        " created_at, turns_id, message_id)",
        new,
    )
    again = [(one.request,) for one in tries if one.request is not None]
    db.executemany("UPDATE requests SET state = 'sent' WHERE id = ?", again)
    insert_many(
        db,
        "INSERT INTO attempts (id, run_id, example, slots, attempt, state, sent_at, request_id, greatest_usd,"
        " greatest_tokens, batch_id)",
        rows,
    )
    return sent


def fail_many(db: sqlite3.Connection, tries: Sequence[Failed]) -> list[None]:
    """Their attempts failed, their requests are as they say."""
    now = time.time()
    db.executemany(
        "UPDATE attempts SET state = 'failed', ended_at = ?, status = ?, error = ?, billed = ? WHERE id = ?",
        [(now, one.status, one.error, one.billed, one.sent.attempt) for one in tries],
    )
    db.executemany("UPDATE requests SET state = ? WHERE id = ?", [(one.state, one.sent.request) for one in tries])
    return [None] * len(tries)


def finish_many(db: sqlite3.Connection, tries: Sequence[Finished]) -> list[dict[bytes, Stored]]:
    """Their responses, samples and states; of each its samples as they are stored: another run's where that one was
    first."""
    now = time.time()
    first = _next(db, "responses")
    insert_many(
        db,
        "INSERT INTO responses (id, attempt_id, received_at, model, provider_id, input_tokens, output_tokens,"
        " reasoning_tokens, price_usd, raw)",
        [(number, one.sent.attempt, now, *one.response) for number, one in enumerate(tries, first)],
    )
    _update_many(
        db,
        "UPDATE attempts SET state = v.column2, ended_at = v.column3, status = 200, error = v.column4, billed = 1",
        "attempts",
        [(one.sent.attempt, "failed" if one.error else "done", now, one.error) for one in tries],
    )
    _update_many(db, "UPDATE requests SET state = v.column2", "requests", [(o.sent.request, o.state) for o in tries])
    insert_samples(
        db,
        [
            (key, one.model, completion, now, one.sent.attempt, number)
            for number, one in enumerate(tries, first)
            for key, _, completion in one.bought
        ],
    )
    stored = stored_samples(db, [key for one in tries for key, _, _ in one.bought])
    use_samples(
        db,
        [
            (one.run_id, example, slot, stored[key].id)
            for one in tries
            for example in one.examples
            for key, slot, _ in one.bought
        ],
    )
    return [{key: stored[key] for key, _, _ in one.bought} for one in tries]


def insert_samples(
    db: sqlite3.Connection, samples: Sequence[tuple[bytes, str, Completion, float, int | None, int | None]]
) -> None:
    """(key, model, completion, when, attempt, response) of each; where there is one of that key already, that stays."""
    texts = store_texts(db, [c.text for _, _, c, *_ in samples])
    thought = iter(store_texts(db, [c.reasoning for _, _, c, *_ in samples if c.reasoning]))
    rows = []
    for text, (key, model, c, now, attempt, response) in zip(texts, samples, strict=True):
        counts = (c.input_tokens, c.output_tokens)
        rows.append(
            (key, model, text, c.finish, *counts, attempt, now, response, next(thought) if c.reasoning else None)
        )
    insert_many(
        db,
        "INSERT OR IGNORE INTO samples (key, model, text_id, finish, input_tokens, output_tokens, attempt_id,"
        " created_at, response_id, reasoning_id)",
        rows,
    )


def stored_samples(db: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Stored]:
    """Those of the samples that are there."""
    found: dict[bytes, Stored] = {}
    for some in _parts(keys, 1):
        marks = ",".join("?" * len(some))
        rows = db.execute(
            "SELECT s.key, s.id, t.text, h.text FROM samples s JOIN texts t ON t.id = s.text_id"
            f" LEFT JOIN texts h ON h.id = s.reasoning_id WHERE s.key IN ({marks})",
            some,
        )
        found.update({bytes(key): Stored(number, *texts) for key, number, *texts in rows})
    return found


def use_samples(db: sqlite3.Connection, rows: Iterable[tuple[int, str, int, int]]) -> None:
    """(run, example, slot, sample id) of each."""
    into = "INSERT INTO run_samples (run_id, example, slot, sample_id)"
    insert_many(db, into, list(rows), " ON CONFLICT DO UPDATE SET sample_id = excluded.sample_id")


def insert_many(db: sqlite3.Connection, into: str, rows: Sequence[Sequence[Any]], end: str = "") -> None:
    """`into` is all up to VALUES, `end` what follows them."""
    for some in _parts(rows, len(rows[0]) if rows else 1):
        db.execute(f"{into} VALUES {_marks(some)}{end}", [value for row in some for value in row])


def _update_many(db: sqlite3.Connection, update: str, table: str, rows: Sequence[Sequence[Any]]) -> None:
    """`update` names what comes after each row's id column2, column3 … of v."""
    for some in _parts(rows, len(rows[0]) if rows else 1):
        values = [value for row in some for value in row]
        db.execute(f"{update} FROM (VALUES {_marks(some)}) AS v WHERE {table}.id = v.column1", values)


def _marks(rows: Sequence[Sequence[Any]]) -> str:
    return ",".join([f"({','.join('?' * len(rows[0]))})"] * len(rows))


def _parts(rows: Sequence[Any], width: int) -> Iterator[Sequence[Any]]:
    size = VARIABLES // width
    return (rows[at : at + size] for at in range(0, len(rows), size))


def _next(db: sqlite3.Connection, table: str) -> int:
    """The id that SQLite would give the table's next row."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return 1 if row is None else int(row[0]) + 1
