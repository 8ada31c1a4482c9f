"""What batches cost, and the budget that holds them."""

from pathlib import Path

import pytest

from engine.errors import AtLimit, Interrupted
from engine.spec.teachers import TeacherConfig
from engine.teacher.price import Price, price_of
from engine.teacher.requests import requests_for
from engine.teacher.tokens import count
from tests.engine.teacher.batch_server import serve
from tests.engine.teacher.test_batch import EXAMPLES, Clock, _key, buy, complete, ledger, rows, teacher  # noqa: F401 - a fixture among them


def test_the_price_is_the_lists_for_batches_or_half_of_ours() -> None:
    listed = TeacherConfig(model="openai/gpt-4o-mini")
    assert price_of(listed) == Price(0.15e-6, 0.6e-6)
    assert price_of(listed.model_copy(update={"batch": True})) == Price(0.075e-6, 0.3e-6)
    own = TeacherConfig(model="openai/mine", input_usd_per_million=2.0, output_usd_per_million=4.0, batch=True)
    assert price_of(own) == Price(1e-6, 2e-6)
    unlisted = TeacherConfig(model="azure/gpt-4o", batch=True)  # has a price, and none for batches
    assert price_of(unlisted) is None


def test_a_budget_cuts_the_batch_and_is_never_exceeded(tmp_path: Path) -> None:
    prices = {"input_usd_per_million": 2.0, "output_usd_per_million": 4.0, "max_tokens": 10, "samples": 1}
    cost = 20 * 1e-6 + 10 * 2e-6  # half of these, for 20 tokens and 10
    with serve() as server:
        with pytest.raises(AtLimit, match="budget_usd"):
            buy(tmp_path, teacher(server.url, **prices, budget_usd=0.0))
        assert server.calls == []
        requests = requests_for(teacher(server.url), "number", EXAMPLES)
        most = [count(teacher(server.url), r.messages).most * 1e-6 + 10 * 2e-6 for r in requests]
        with pytest.raises(AtLimit, match="budget_usd"):
            buy(tmp_path, teacher(server.url, **prices, budget_usd=max(most) + 3.5 * cost))
        assert server.lines == [1, 1, 1, 1]  # a line that may cost so much leaves no room for another
        # a limit that is raised is enough to go on
        assert complete(buy(tmp_path, teacher(server.url, **prices, budget_usd=4 * cost + 5.5 * max(most))), 1)
        assert server.lines[4] == 5
    assert rows(tmp_path, "SELECT count(*), sum(price_usd) FROM responses") == [(12, pytest.approx(12 * cost))]


def test_what_is_under_way_counts_against_the_budget_after_a_stop(tmp_path: Path) -> None:
    options = {"input_usd_per_million": 2.0, "output_usd_per_million": 4.0, "max_tokens": 10, "budget_calls": 12}
    with serve() as server:
        server.looks = 9
        with pytest.raises(Interrupted):
            buy(tmp_path, teacher(server.url, **options), Clock(stop_at=1))
        with ledger(tmp_path) as book:
            spent = book.spent().result()
        assert spent.calls == 12
        assert spent.usd > 0
        assert complete(buy(tmp_path, teacher(server.url, **options)))
        assert server.lines == [12]
