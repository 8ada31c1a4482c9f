"""Budgets: the arithmetic of limits, and that a run at 64 at once never buys beyond one, whatever its answers cost."""

import asyncio
import json
import random
import sqlite3
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import AtLimit, UsageError
from engine.records import Example
from engine.spec.teachers import TeacherConfig
from engine.store.ledger.ledger import Spent
from engine.store.ledger.rows import Asked
from engine.teacher import buying, pace
from engine.teacher.budget import Budget, Cost, check_budget
from engine.teacher.outcome import Answer, Completion, Fault, TeacherError
from engine.teacher.price import Price
from engine.teacher.sampling import sample
from tests.engine.teacher.openai_server import serve
from tests.engine.teacher.test_sampling import NoOrders, buy, complete, ledger, rows, spec

PRICES = {"input_usd_per_million": 1.0, "output_usd_per_million": 40.0}
SEEDS = [pytest.param(seed, marks=[pytest.mark.slow] if seed >= 2 else []) for seed in range(20)]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCRD_TEST_KEY", "very-secret-0123456789")


@given(
    st.lists(st.tuples(st.floats(0, 0.3), st.floats(0, 1), st.booleans()), max_size=60),
    st.floats(0, 2),
    st.randoms(use_true_random=False),
)
def test_what_is_spent_stays_below_the_limit(
    tries: list[tuple[float, float, bool]], limit: float, rng: random.Random
) -> None:
    budget = Budget(limit, None, None, Spent())
    flying: list[tuple[Cost, float | None]] = []
    true_cost = 0.0
    for most, share, unknown in tries:
        while flying and rng.random() < 0.3:
            budget.settle(flying[0][0], Cost(flying.pop(0)[1], 1))
        if budget.refusal(Cost(most, 1)) is None:
            budget.reserve(Cost(most, 1))
            flying.append((Cost(most, 1), None if unknown else most * share))
            true_cost += most * share
    assert true_cost <= limit + 1e-9
    for most_of_it, was in flying:
        budget.settle(most_of_it, Cost(was, 1))
    assert true_cost - 1e-9 <= budget.spent.usd <= limit + 1e-9
    assert abs(budget.reserved_usd) < 1e-9
    assert budget.reserved_tokens == 0


def test_each_limit_says_which_it_is() -> None:
    spent = Spent(0.5, 900, 7)
    assert "budget_usd = 0.6: $0.5 spent" in str(Budget(0.6, None, None, spent).refusal(Cost(0.2, 10)))
    assert "budget_tokens = 1000: 900 used" in str(Budget(None, 1000, None, spent).refusal(Cost(0.2, 101)))
    assert "budget_calls = 7: 7 made" in str(Budget(None, None, 7, spent).refusal(Cost(0.0, 0)))
    assert Budget(0.7, 1000, 8, spent).refusal(Cost(0.2, 100)) is None


def test_dollars_need_a_price() -> None:
    with pytest.raises(UsageError, match=r"input_usd_per_million and teacher\.output_usd_per_million"):
        check_budget(TeacherConfig(model="openai/mine", budget_usd=1.0), None)
    check_budget(TeacherConfig(model="openai/mine", budget_usd=1.0), Price(0.0, 0.0))


@pytest.mark.parametrize("seed", SEEDS)
def test_at_64_at_once_a_budget_of_one_dollar_is_never_exceeded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """A teacher that fails, breaks off after it was paid, and answers at any length; its own bill is the oracle."""
    rng = random.Random(seed)
    bill = 0.0
    calls = most_flying = flying = 0
    full = asyncio.Event()

    async def teacher(config: TeacherConfig, messages: object, n: int, first_slot: int = 0) -> Answer:
        nonlocal bill, calls, flying, most_flying
        calls += 1
        flying += 1
        most_flying = max(most_flying, flying)
        if flying == 64:
            full.set()
        await asyncio.wait_for(full.wait(), 20)  # the first 64 are in the air together, however slow the machine
        fate, sent, written = rng.random(), rng.randint(5, 30), rng.randint(n, 40 * n)
        await asyncio.sleep(rng.uniform(0, 0.03))
        flying -= 1
        if fate < 0.1:
            raise TeacherError(Fault("server", "down", 503))
        bill += (sent * 1.0 + written * 40.0) / 1e6
        if fate < 0.2:
            raise TeacherError(Fault("timeout", "no answer"))
        usage = (None, None) if fate < 0.3 else (sent, written)
        return Answer(tuple(Completion(f"{calls} {i}") for i in range(n)), None, "m", None, *usage)

    monkeypatch.setattr(buying.client, "complete", teacher)
    monkeypatch.setattr(pace, "START", 64)
    monkeypatch.setattr(pace, "TOO_MANY", 1.0)  # so many faults would never let it be 64
    run_spec = spec("http://127.0.0.1:1/v1", concurrency=64, max_tokens=40, budget_usd=1.0, attempts=9, **PRICES)
    many = [Example(f"q{i}", f"question {i}?") for i in range(900)]
    with ledger(tmp_path) as book, pytest.raises(AtLimit, match=r"resume 1 --set teacher\.budget_usd"):
        sample(run_spec, many, book, NoOrders(), backoff=0.0001)
    assert 0.6 < bill <= 1.0  # what is in doubt counts at its most
    assert most_flying == 64
    (spent,) = rows(tmp_path, "SELECT sum(price_usd) FROM responses")[0]
    assert float(str(spent)) <= bill + 1e-9
    assert rows(tmp_path, "SELECT count(*) FROM attempts") == [(calls,)]


def test_a_run_at_its_budget_goes_on_when_it_is_raised(tmp_path: Path) -> None:
    with serve() as server:
        with pytest.raises(AtLimit, match="budget_calls = 5: 5 made"):
            buy(tmp_path, spec(server.url, budget_calls=5))
        assert len(server.requests) == 5
        with pytest.raises(AtLimit, match="budget_tokens"):
            buy(tmp_path, spec(server.url, budget_tokens=5 * 70 + 10))
        assert complete(buy(tmp_path, spec(server.url, budget_calls=12, budget_usd=1, **PRICES)))
        assert server.choices_sold == 60
        # 20 tokens a prompt and 10 a completion, at the prices of the spec
        priced = "SELECT count(*), round(sum(price_usd), 9) FROM responses WHERE price_usd IS NOT NULL"
        assert rows(tmp_path, priced) == [(7, round(7 * (20 * 1 + 50 * 40) / 1e6, 9))]


def test_what_is_in_doubt_counts_at_its_most(tmp_path: Path) -> None:
    with ledger(tmp_path) as book:
        asked = Asked("sample", "q", "m", b"k", (0, 1), 10, 0.25, 500)
        book.begin(asked, 1).result()
        book.close_stray().result()
        assert book.spent().result() == Spent(0.25, 500, 1)
        sent = book.begin(asked, 1).result()
        book.fail(sent, Fault("server", "down", 500), last=False).result()
        sent = book.begin(asked, 2, sent.request).result()
        book.fail(sent, Fault("unreachable", "refused", sent=False), last=False).result()
        assert book.spent().result() == Spent(0.25, 500, 2)  # what was refused was never seen: no call
        sent = book.begin(asked, 3, sent.request).result()
        book.finish(sent, "m", Answer((), None, "m", None, 4, 5), 0.1, [], []).result()
        assert book.spent().result() == Spent(0.35, 509, 3)


def test_the_ledger_keeps_the_whole_answer(tmp_path: Path) -> None:
    with serve(["no choices"]) as server:
        assert complete(buy(tmp_path, spec(server.url, **PRICES)))
    with sqlite3.connect(tmp_path / "experiments.db") as db:
        found = db.execute("SELECT raw, provider_id, model, price_usd FROM responses ORDER BY id").fetchall()
    assert len(found) == 13  # the one without a choice was paid for, too
    assert {row[2] for row in found} == {"scripted"}
    whole = [(json.loads(zlib.decompress(raw)), *row) for raw, *row in found]
    assert all(raw["id"] == number for raw, number, *_ in whole)
    assert sorted(len(raw["choices"]) for raw, *_ in whole) == [0] + [5] * 12
    assert all(price is not None for raw, *_, price in whole if raw["choices"])
