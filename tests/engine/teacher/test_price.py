"""Prices and token counts: from the spec, from LiteLLM's own list, or unknown; never asked for, never 0 by default."""

import socket

import pytest

from engine.spec.teachers import TeacherConfig
from engine.teacher.client import load_litellm
from engine.teacher.price import Price, price_of
from engine.teacher.tokens import count

MESSAGES = [{"role": "system", "content": "Reason."}, {"role": "user", "content": "How many apples are there? é ∑"}]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    load_litellm()

    def refuse(*_: object) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_prices_of_the_list_of_the_spec_and_unknown_ones() -> None:
    listed = load_litellm().model_cost["gpt-4o-mini"]
    wanted = Price(listed["input_cost_per_token"], listed["output_cost_per_token"])
    assert price_of(TeacherConfig(model="gpt-4o-mini")) == price_of(TeacherConfig(model="openai/gpt-4o-mini")) == wanted
    assert price_of(TeacherConfig(model="openai/none-such")) is None
    assert price_of(TeacherConfig(model="nonsense")) is None
    # the provider's price says nothing of another server
    assert price_of(TeacherConfig(model="openai/gpt-4o-mini", api_base="http://127.0.0.1:1/v1")) is None
    given = TeacherConfig(model="openai/none-such", input_usd_per_million=2, output_usd_per_million=8)
    assert price_of(given) == Price(2e-6, 8e-6)
    assert price_of(TeacherConfig()) == price_of(TeacherConfig(model="replay:x.jsonl")) == Price(0.0, 0.0)
    with pytest.raises(ValueError, match="both prices"):
        TeacherConfig(input_usd_per_million=1)


def test_a_cost_is_unknown_where_a_number_of_tokens_is() -> None:
    assert Price(2e-6, 8e-6).cost(100, 1000) == pytest.approx(100 * 2e-6 + 1000 * 8e-6)
    assert Price(2e-6, 8e-6).cost(None, 1000) is None
    assert Price(2e-6, 8e-6).cost(100, None) is None
    assert Price(0.0, 0.0).cost(None, None) == 0.0


@pytest.mark.parametrize(
    ("model", "exact"),
    [
        ("gpt-4o-mini", True),
        ("anthropic/claude-sonnet-4-5", False),
        ("groq/llama-3.1-8b-instant", False),
        ("together_ai/meta-llama/Llama-3-8b-chat-hf", False),
        ("cohere/command-r", False),
        ("ollama_chat/llama3", False),
        ("openai/none-such", False),
    ],
)
def test_tokens_are_counted_without_a_network_and_bounded(model: str, exact: bool) -> None:
    found = count(TeacherConfig(model=model), MESSAGES)
    assert found.exact is exact
    assert 10 <= found.tokens <= found.most
    if not exact:
        assert found.most >= sum(len(m["content"].encode()) for m in MESSAGES)


def test_openais_count_is_litellms_own() -> None:
    own = load_litellm().token_counter(model="gpt-4o-mini", messages=MESSAGES)
    assert abs(count(TeacherConfig(model="gpt-4o-mini"), MESSAGES).tokens - own) <= 2
