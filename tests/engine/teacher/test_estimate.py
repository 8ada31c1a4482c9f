"""What sampling will take, before and after a pilot: counts by hand, shared samples once, nothing asked."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.spec.run import RunSpec
from engine.spec.sections import ArithmeticConfig, DataConfig
from engine.store.runs.run import create_run
from engine.teacher.estimate import Span, estimate, lines
from engine.teacher.judge_estimate import estimate_judge
from engine.teacher.judge_estimate import lines as judge_lines
from engine.teacher.messages import load_prompt, messages_for
from engine.teacher.pilot import pilot
from engine.teacher.tokens import count
from engine.teacher.totals import beyond, total
from engine.voting.step_judge import messages
from tests.engine.teacher.openai_server import serve
from tests.engine.teacher.test_sampling import EXAMPLES, buy, rows, spec

PRICES = {"input_usd_per_million": 1.0, "output_usd_per_million": 10.0}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCRD_TEST_KEY", "very-secret-0123456789")


def test_before_anything_is_bought(tmp_path: Path) -> None:
    run_spec = spec("http://127.0.0.1:1/v1", max_tokens=100, **PRICES)
    (found,) = estimate([(run_spec, EXAMPLES)], tmp_path / "none.db")
    prompt = load_prompt(run_spec.teacher, run_spec.data.answer)
    tokens = sum(count(run_spec.teacher, messages_for(prompt, x)).tokens for x in EXAMPLES)
    assert (found.samples, found.reused, found.bought, found.calls) == (60, 0, 60, 12)
    assert (found.input_tokens, found.exact, found.measured) == (tokens, False, 0)
    assert found.output_tokens == Span(60, None, 6000)
    assert found.usd is not None
    assert found.usd.low == pytest.approx(tokens / 1e6 + 60 * 10 / 1e6)
    most = sum(count(run_spec.teacher, messages_for(prompt, x)).most for x in EXAMPLES)
    assert found.most_usd == found.usd.high == pytest.approx(most / 1e6 + 6000 * 10 / 1e6)
    text = dict(lines(found))
    assert "60 wanted, 0 of them" in text["samples"]
    assert "an estimate" in text["input"]
    assert "--pilot" in text["output"]
    assert not (tmp_path / "none.db").exists()


def test_an_unknown_price_is_said_to_be(tmp_path: Path) -> None:
    run_spec = spec("http://127.0.0.1:1/v1")
    (found,) = estimate([(run_spec, EXAMPLES)], tmp_path / "none.db")
    assert found.usd is None
    assert dict(lines(found))["price"].startswith("unknown")


def test_what_is_stored_is_reused_and_tells_the_length_and_runs_share(tmp_path: Path) -> None:
    database = tmp_path / "experiments.db"
    with serve() as server:
        three = spec(server.url, samples=3, **PRICES)
        buy(tmp_path, three)
        five = spec(server.url, samples=5, **PRICES)
        (found,) = estimate([(three, EXAMPLES), (five, EXAMPLES), (five, EXAMPLES[:4])], database)
        assert len(server.requests) == 12
    assert (found.samples, found.reused, found.bought, found.calls) == (60, 36, 24, 12)
    assert found.measured == 36
    assert found.output_tokens == Span(240.0, 240.0, 240.0)  # every completion of the server's has 10 tokens
    assert found.usd is not None
    assert found.usd.expected == pytest.approx((found.input_tokens + 2400) / 1e6)
    assert "from 36 samples" in dict(lines(found))["output"]


def test_a_pilot_buys_so_many_calls_and_the_job_reuses_them(tmp_path: Path) -> None:
    database = tmp_path / "experiments.db"
    with serve() as server:
        teacher = spec(server.url, **PRICES).teacher
        arithmetic = {"train": 10, "validation": 2, "test": 1, "unseen": 1}
        run_spec = RunSpec.model_validate(
            {"teacher": teacher, "data": {"dataset": "arithmetic", "arithmetic": arithmetic}, "until": "vote"}
        )
        create_run(database, run_spec)
        orders = SimpleNamespace(poll=lambda: None)
        assert pilot(run_spec, database, 3, orders, lambda *_: None) == 2
        assert [r["n"] for r in server.requests] == [5, 5, 5]
        from engine.data.load import load
        from engine.data.splits import asked

        (found,) = estimate([(run_spec, asked(run_spec, load(run_spec)))], database)
    assert (found.samples, found.reused, found.calls, found.measured) == (60, 15, 9, 15)


def test_the_builtin_teacher_costs_nothing(tmp_path: Path) -> None:
    (found,) = estimate([(RunSpec(), EXAMPLES)], tmp_path / "none.db")
    assert found.most_usd == 0
    assert dict(lines(found))["price"] == "nothing"


def test_both_prices_where_there_is_a_batch_api(tmp_path: Path) -> None:
    singly = spec("", api_base=None, max_tokens=100, **PRICES)
    batched = spec("", api_base=None, max_tokens=100, batch=True, **PRICES)
    (one,) = estimate([(singly, EXAMPLES)], tmp_path / "none.db")
    (other,) = estimate([(batched, EXAMPLES)], tmp_path / "none.db")
    assert one.usd is not None
    assert other.usd is not None
    assert other.usd.low == pytest.approx(one.usd.low / 2)
    assert other.most_usd == pytest.approx((one.most_usd or 0) / 2)
    assert (one.other_usd, one.other_most_usd) == (other.usd, other.most_usd)
    assert (other.other_usd, other.other_most_usd) == (one.usd, one.most_usd)
    assert lines(one)[-1][1].endswith("through the provider's batch API (teacher.batch = true)")
    assert lines(other)[-1][1].endswith("each request by itself")


def test_no_second_price_where_there_is_no_batch_api(tmp_path: Path) -> None:
    for own in ({"model": "hosted_vllm/mine"}, {"model": "openai/mine"}):
        (found,) = estimate([(spec("http://127.0.0.1:1/v1", **own, **PRICES), EXAMPLES)], tmp_path / "none.db")
        assert found.usd is not None
        assert found.other_usd is None
    (said,) = estimate([(spec("http://127.0.0.1:1/v1", batch=True, **PRICES), EXAMPLES)], tmp_path / "none.db")
    assert said.other_usd is not None


def test_the_most_is_what_the_requests_reserve(tmp_path: Path) -> None:
    with serve() as server:
        run_spec = spec(server.url, **PRICES)
        (found,) = estimate([(run_spec, EXAMPLES)], tmp_path / "none.db")
        buy(tmp_path, run_spec)
    ((usd, tokens),) = rows(tmp_path, "SELECT sum(greatest_usd), sum(greatest_tokens) FROM attempts")
    assert found.most_usd == pytest.approx(usd)
    assert found.most_input_tokens + found.most_output_tokens == tokens


def test_sellers_at_two_prices_are_told_apart_and_added_up(tmp_path: Path) -> None:
    dear = {"model": "openai/scripted", "share": 0.5, "api_base": "http://127.0.0.1:2/v1", "batch": True}
    run_spec = spec("http://127.0.0.1:1/v1", others=[{**dear, **PRICES}], **PRICES)
    one, other = estimate([(run_spec, EXAMPLES)], tmp_path / "none.db")
    assert {one.batch, other.batch} == {True, False}
    assert one.samples + other.samples == 60
    assert total([one]) is None
    most = (one.most_usd or 0) + (other.most_usd or 0)
    assert (total([one, other]) or "").endswith(f"to ${most:,.4g}")
    free = spec("http://127.0.0.1:1/v1")
    (unknown,) = estimate([(free, EXAMPLES)], tmp_path / "none.db")
    assert (total([one, unknown]) or "").startswith("unknown")


def test_a_budget_that_is_too_small_is_told(tmp_path: Path) -> None:
    run_spec = spec("http://127.0.0.1:1/v1", **PRICES)
    (found,) = estimate([(run_spec, EXAMPLES)], tmp_path / "none.db")
    assert found.usd is not None
    assert found.most_usd is not None

    def told(**limits: object) -> list[str]:
        return beyond(run_spec.teacher.model_copy(update=limits), [found])

    assert told() == told(budget_calls=12, budget_usd=found.most_usd) == []
    (calls,) = told(budget_calls=5)
    assert calls == "teacher.budget_calls = 5 is too little: the run would stop at about 5 of 12 calls"
    (usd,) = told(budget_usd=found.usd.low / 2)
    assert usd.endswith("would stop at about 6 of 12 calls")
    (maybe,) = told(budget_tokens=found.input_tokens + 60)
    assert "may stop" in maybe
    judge = replace(found, most_usd=100 * found.most_usd, upper_bound=True)
    (together,) = beyond(run_spec.teacher.model_copy(update={"budget_usd": found.most_usd}), [found, judge])
    assert together.endswith("may stop at about 12 of 24 calls"), "the judge comes after the samples"


def test_the_judge_may_be_asked_of_every_sample() -> None:
    judge = spec("http://127.0.0.1:1/v1", model="openai/judge", max_tokens=20, **PRICES).teacher
    teacher = spec("http://127.0.0.1:1/v1", max_tokens=100).teacher
    found = estimate_judge(judge, teacher, EXAMPLES)
    assert (found.calls, found.most_output_tokens) == (60, 1200)
    long = " ".join(["one."] * 50)
    reserved = 5 * sum(count(judge, messages(x, long)).most for x in EXAMPLES)
    assert reserved <= found.most_input_tokens
    assert found.most_usd == pytest.approx((found.most_input_tokens + 12000) / 1e6)
    assert dict(judge_lines(found))["calls"].startswith("up to 60")


def test_a_pilot_of_a_job_in_batches_is_bought_at_once_and_serves_it(tmp_path: Path) -> None:
    with serve() as server:
        job = spec(server.url, batch=True).model_copy(
            update={"data": DataConfig(arithmetic=ArithmeticConfig(train=6, validation=2, test=1, unseen=0))}
        )
        pilot(job, tmp_path / "experiments.db", 2, SimpleNamespace(poll=lambda: None), lambda level, line: None)
        assert len(server.requests) == 2
