"""The sums that triggers keep against a count of all rows, whatever was done to a ledger."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.store.ledger.ledger import Ledger
from engine.store.ledger.rows import Asked, Sent
from engine.store.schema.tables import STEPS
from engine.store.schema.views import NEVER_SENT, VIEWS
from engine.teacher.outcome import Answer, Completion, Fault
from engine.teacher.requests import slot_key

T = TypeVar("T")
MODELS = ("a", "b")
RUNS = (1, 2)

NAIVE = f"""
WITH tries AS (
    SELECT a.run_id, coalesce(q.model, r.teacher) AS model, NOT {NEVER_SENT} AS call, a.state, a.billed, a.greatest_usd,
        a.billed IS NULL AND (a.state <> 'sent' OR (a.batch_id IS NULL AND r.status <> 'running')) AS doubt, p.*
    FROM attempts a JOIN runs r ON r.id = a.run_id LEFT JOIN requests q ON q.id = a.request_id
    LEFT JOIN responses p ON p.attempt_id = a.id),
used AS (
    SELECT DISTINCT u.run_id, s.model, s.id, coalesce(a.run_id = u.run_id, 0) AS mine,
        p.price_usd / (SELECT count(*) FROM samples o WHERE o.response_id = p.id) AS price
    FROM run_samples u JOIN samples s ON s.id = u.sample_id LEFT JOIN responses p ON p.id = s.response_id
    LEFT JOIN attempts a ON a.id = p.attempt_id)
SELECT run_id, model, sum(calls), sum(failed), sum(bought), sum(input), sum(output), sum(reasoning), sum(price),
    sum(unknown), sum(doubts), sum(doubt_usd), sum(reused), sum(reused_usd)
FROM (
    SELECT run_id, model, call AS calls, state = 'failed' AND call AS failed, 0 AS bought, input_tokens AS input,
        output_tokens AS output, reasoning_tokens AS reasoning, price_usd AS price,
        billed IS 1 AND price_usd IS NULL AS unknown, doubt AS doubts,
        CASE WHEN doubt THEN greatest_usd END AS doubt_usd, 0 AS reused, NULL AS reused_usd FROM tries
    UNION ALL
    SELECT run_id, model, 0, 0, mine, NULL, NULL, NULL, NULL, 0, 0, NULL, NOT mine, CASE WHEN NOT mine THEN price END
    FROM used)
GROUP BY run_id, model ORDER BY run_id, model"""


class Book:
    """Ledgers of two runs in memory, one statement after another."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.open: list[tuple[Ledger, Sent, Asked, int]] = []
        self.keys: list[bytes] = []

    def call(self, fn: Callable[[sqlite3.Connection], T]) -> "Future[T]":
        done: Future[T] = Future()
        done.set_result(fn(self.db))
        return done

    def together(self, fn: Callable[[sqlite3.Connection, Sequence[Any]], Sequence[T]], one: Any) -> "Future[T]":
        return self.call(lambda db: fn(db, [one])[0])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return [tuple(None if v is None else round(v, 9) if isinstance(v, float) else v for v in row)
                for row in self.db.execute(query)]  # fmt: skip

    def check(self) -> None:
        counted = "SELECT * FROM teacher_spend ORDER BY run_id, model"
        assert self.rows(counted) == self.rows(NAIVE)
        tries = "SELECT run_id, sum(tries), sum(retries) FROM spending GROUP BY 1 HAVING sum(tries)"
        assert self.rows(tries) == self.rows("SELECT run_id, count(*), sum(attempt > 1) FROM attempts GROUP BY 1")


@contextmanager
def book(script: str = "".join(STEPS.values()) + VIEWS) -> Iterator[Book]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.executescript(script)
        for run in RUNS:
            db.execute(
                "INSERT INTO runs (id, name, status, method, dataset, teacher, student, seed, spec, folder, created_at,"
                " heartbeat_at, steps, iterations) VALUES (?, 'r', 'running', 'dss', 'd', 'a', 's', 0, '{}', '', 0, ?,"
                " 1, 1)",
                (run, time.time() + 600),
            )
        yield Book(db)


number = st.one_of(st.none(), st.integers(0, 50))
price = st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.001]))
begins = st.tuples(
    st.just("begin"), st.sampled_from(RUNS), st.sampled_from(MODELS), st.integers(0, 3), st.integers(1, 3), price
)
finishes = st.tuples(st.just("finish"), st.integers(0, 9), st.integers(0, 2), number, price, st.booleans())
fails = st.tuples(st.just("fail"), st.integers(0, 9), st.sampled_from([None, 429]), st.booleans(), st.booleans())
uses = st.tuples(st.just("use"), st.sampled_from(RUNS), st.integers(0, 3), st.integers(0, 9))
ends = st.tuples(st.just("end"), st.sampled_from(RUNS))


def act(mine: Book, step: tuple[Any, ...]) -> None:
    kind, *rest = step
    if kind == "begin":
        run, model, question, attempt, most = rest
        asked = Asked("sample", f"q{question}", model, bytes([question]), (0, 1), 8, most, 100)
        ledger = Ledger(mine, run)
        mine.open.append((ledger, ledger.begin(asked, attempt).result(), asked, run))
    elif kind == "use":
        run, question, which = rest
        ids = [r[0] for r in mine.db.execute("SELECT id FROM samples ORDER BY id")]
        if ids:
            Ledger(mine, run).use([(f"q{question}", which % 2, ids[which % len(ids)])]).result()
    elif kind == "end":
        Ledger(mine, rest[0]).close_stray().result()
        mine.open = [o for o in mine.open if o[3] != rest[0]]
    elif mine.open:
        ledger, sent, asked, _ = mine.open.pop(rest[0] % len(mine.open))
        if kind == "fail":
            _, status, seen, last = rest
            ledger.fail(sent, Fault("server", "down", status, sent=seen), last).result()
        else:
            _, came, tokens, paid, faulty = rest
            answer = Answer(
                tuple(Completion(f"{sent.attempt} {i}") for i in range(came)),
                Fault("empty", "nothing") if faulty else None, "m", "p", tokens, tokens, None, "{}",
            )  # fmt: skip
            bought = [(slot_key(asked.key, i), i, c) for i, c in enumerate(answer.completions)]
            examples = [asked.example, "twin"]
            ledger.finish(sent, asked.model, answer, paid, bought, examples).result()


EXCHANGED = [
    ("begin", 2, "b", 0, 1, None), ("finish", 0, 1, None, None, False),
    ("begin", 1, "a", 1, 1, None), ("finish", 0, 2, None, None, False),
    ("use", 1, 2, 0), ("use", 1, 2, 4),
]  # fmt: skip
"""Run 1 uses a sample of another model for a moment: nothing of that model is its own afterwards."""


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(begins, begins, finishes, fails, uses, ends), max_size=25))
@example(EXCHANGED)
def test_sums_are_those_of_the_rows(steps: list[tuple[Any, ...]]) -> None:
    with book() as mine:
        for step in steps:
            act(mine, step)
            mine.check()
        mine.db.execute("UPDATE runs SET status = 'interrupted' WHERE id = 1")
        mine.check()


@pytest.mark.parametrize("tokens", [None, 7])
def test_what_is_there_already_is_summed_when_the_table_is_made(tokens: int | None) -> None:
    before = "".join(script for name, script in STEPS.items() if name < "0014")
    with book(before) as mine:
        for step in (
            ("begin", 1, "a", 0, 1, 0.25), ("begin", 1, "b", 1, 2, None), ("begin", 2, "a", 2, 1, 0.25),
            ("begin", 2, "a", 3, 1, 0.25), ("finish", 0, 2, tokens, 0.25, False), ("finish", 0, 1, tokens, None, False),
            ("fail", 0, None, False, True), ("use", 2, 0, 0), ("use", 2, 1, 2),
        ):  # fmt: skip
            act(mine, step)
        mine.db.executescript(STEPS["0014_spending"] + VIEWS)
        mine.check()
        act(mine, ("finish", 0, 2, 3, 0.001, False))
        mine.check()
