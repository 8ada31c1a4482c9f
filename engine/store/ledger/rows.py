"""The rows of many tries at once, a statement a table: a call pays for its rows, and not for a statement each.

SQLite gives Python's lock away and takes it back at every statement; beside an event loop that computes all the time
each of those is a wait. Everything here is within the caller's transaction.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from engine.store.texts import AT_ONCE, VARIABLES, storable, store_texts
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
    kept = [one for one in tries if one.request is None and one.asked.messages]
    # worked examples are the same for every question, so that they are stored once
    turns = [_turns(tuple((m["role"], m["content"]) for m in one.asked.messages[:-1])) for one in kept]
    last = [one.asked.messages[-1]["content"] for one in kept]
    stored = store_texts(db, turns + last, "messages")
    texts = {id(one): pair for one, *pair in zip(kept, stored[: len(kept)], stored[len(kept) :], strict=True)}
    new = [
        (
            one.run_id,
            one.asked.purpose,
            one.asked.example,
            one.asked.model,
            one.asked.key,
            json.dumps(one.asked.slots),
            "sent",
            one.asked.input_tokens,
            one.asked.greatest_usd,
            now,
            *texts.get(id(one), (None, None)),
        )
        for one in tries
        if one.request is None
    ]
    numbers = iter(
        insert_many(
            db,
            "INSERT INTO requests (run_id, purpose, example, model, asked, slots, state, input_tokens, greatest_usd,"
            " created_at, turns_id, message_id)",
            new,
        )
    )
    again = [(one.request,) for one in tries if one.request is not None]
    if again:
        db.executemany("UPDATE requests SET state = 'sent' WHERE id = ?", again)
    requests = [next(numbers) if one.request is None else one.request for one in tries]
    rows = [
        (
            one.run_id,
            one.asked.example,
            len(one.asked.slots),
            one.attempt,
            "sent",
            now,
            request,
            one.asked.greatest_usd,
            one.asked.greatest_tokens,
            one.batch,
        )
        for one, request in zip(tries, requests, strict=True)
    ]
    attempts = insert_many(
        db,
        "INSERT INTO attempts (run_id, example, slots, attempt, state, sent_at, request_id, greatest_usd,"
        " greatest_tokens, batch_id)",
        rows,
    )
    return [Sent(*pair) for pair in zip(requests, attempts, strict=True)]


@lru_cache(maxsize=8)
def _turns(messages: tuple[tuple[str, str], ...]) -> str:
    """All messages but the last, (role, content) of each, as JSON: the same ones for every question of a run."""
    return json.dumps([{"role": role, "content": content} for role, content in messages])


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
    responses = insert_many(
        db,
        "INSERT INTO responses (attempt_id, received_at, model, provider_id, input_tokens, output_tokens,"
        " reasoning_tokens, price_usd, raw)",
        [(one.sent.attempt, now, *one.response) for one in tries],
    )
    _update_many(
        db,
        "UPDATE attempts SET state = v.column2, ended_at = v.column3, status = 200, error = v.column4, billed = 1",
        "attempts",
        [(one.sent.attempt, "failed" if one.error else "done", now, one.error) for one in tries],
    )
    _update_many(db, "UPDATE requests SET state = v.column2", "requests", [(o.sent.request, o.state) for o in tries])
    stored = insert_samples(
        db,
        [
            (key, one.model, completion, now, one.sent.attempt, response)
            for one, response in zip(tries, responses, strict=True)
            for key, _, completion in one.bought
        ],
    )
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
) -> dict[bytes, Stored]:
    """(key, model, completion, when, attempt, response) of each; where there is one of that key already, that stays.
    Gives them as they are stored."""
    texts = store_texts(db, [c.text for _, _, c, *_ in samples])
    thought = iter(store_texts(db, [c.reasoning for _, _, c, *_ in samples if c.reasoning]))
    rows = []
    for text, (key, model, c, now, attempt, response) in zip(texts, samples, strict=True):
        counts = (c.input_tokens, c.output_tokens)
        rows.append(
            (key, model, text, c.finish, *counts, attempt, now, response, next(thought) if c.reasoning else None)
        )
    stored: dict[bytes, Stored] = {}
    for at in range(0, len(rows), AT_ONCE):
        some = rows[at : at + AT_ONCE]
        into = (
            "INSERT OR IGNORE INTO samples (key, model, text_id, finish, input_tokens, output_tokens, attempt_id,"
            " created_at, response_id, reasoning_id)"
        )
        done = db.execute(f"{into} VALUES {_marks(some)}", [value for row in some for value in row])
        if done.rowcount == len(some):  # none was there: numbered one after another
            mine = zip(_numbered(done, len(some)), samples[at : at + AT_ONCE], strict=True)
            stored |= {
                key: Stored(number, storable(c.text), storable(c.reasoning) if c.reasoning else None)
                for number, (key, _, c, *_) in mine
            }
        else:
            stored |= stored_samples(db, [row[0] for row in some])
    return stored


def stored_samples(db: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Stored]:
    """Those of the samples that are there."""
    found: dict[bytes, Stored] = {}
    for some in _parts(keys, VARIABLES):
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


def insert_many(db: sqlite3.Connection, into: str, rows: Sequence[Sequence[Any]], end: str = "") -> list[int]:
    """`into` is all up to VALUES, `end` what follows them. Gives the rows' ids, where the table numbers its own."""
    ids: list[int] = []
    for some in _parts(rows, AT_ONCE):
        done = db.execute(f"{into} VALUES {_marks(some)}{end}", [value for row in some for value in row])
        ids += _numbered(done, len(some))
    return ids


def _numbered(done: sqlite3.Cursor, rows: int) -> range:
    """The ids of rows inserted by one statement into a table with AUTOINCREMENT: one after another."""
    last = done.lastrowid or 0
    return range(last - rows + 1, last + 1)


def _update_many(db: sqlite3.Connection, update: str, table: str, rows: Sequence[Sequence[Any]]) -> None:
    """`update` names what comes after each row's id column2, column3 … of v."""
    for some in _parts(rows, AT_ONCE):
        values = [value for row in some for value in row]
        db.execute(f"{update} FROM (VALUES {_marks(some)}) AS v WHERE {table}.id = v.column1", values)


def _marks(rows: Sequence[Sequence[Any]]) -> str:
    return ",".join([f"({','.join('?' * len(rows[0]))})"] * len(rows))


def _parts(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (rows[at : at + size] for at in range(0, len(rows), size))
