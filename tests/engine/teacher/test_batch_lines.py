"""Lines of a batch: what goes up, and what each kind of line that comes back means."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.spec.teachers import TeacherConfig
from engine.store.ledger.rows import Sent
from engine.teacher.batches.lines import custom_id, outcome, read, written
from engine.teacher.outcome import Answer, Fault

TEACHER = TeacherConfig(model="openai/mine", api_base="http://127.0.0.1:1/v1", max_tokens=9, top_p=0.5, batch=True)


def test_a_line_asks_what_a_request_would() -> None:
    line = json.loads(written(TEACHER, custom_id(Sent(7, 8), (2, 3)), [{"role": "user", "content": "1 + 1?"}], 2))
    assert line == {
        "custom_id": "7-2",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": "mine",
            "messages": [{"role": "user", "content": "1 + 1?"}],
            "temperature": 0.7,
            "top_p": 0.5,
            "max_tokens": 9,
            "n": 2,
        },
    }


def test_a_reasoning_models_limit_has_its_own_name() -> None:
    teacher = TeacherConfig(model="openai/o3-mini", temperature=1.0, batch=True)
    assert json.loads(written(teacher, "1-0", [], 1))["body"]["max_completion_tokens"] == 512
    with pytest.raises(UsageError, match=r"openai/o3-mini does not take these settings: .*temperature=0\.7"):
        written(teacher.model_copy(update={"temperature": 0.7}), "1-0", [], 1)


@pytest.mark.parametrize(
    ("response", "error", "kind", "billed"),
    [
        (None, {"code": "batch_expired", "message": "m"}, "server", False),
        (None, {"code": "batch_cancelled", "message": "m"}, "server", False),
        (None, None, "server", False),
        ({"status_code": 500, "body": {"error": {"message": "m"}}}, None, "server", False),
        ({"status_code": 429, "body": {"error": {"message": "m"}}}, None, "rate-limit", False),
        ({"status_code": 400, "body": {"error": {"message": "m"}}}, None, "request", False),
        ({"status_code": 401, "body": {}}, None, "key", False),
        ({"status_code": 400, "body": {"error": {"code": "context_length_exceeded"}}}, None, "question", False),
        ({"status_code": 200, "body": {"id": "x"}}, None, "body", None),
        ({"status_code": 200, "body": "half"}, None, "server", False),
    ],
)
def test_a_line_that_failed(response: object, error: object, kind: str, billed: bool | None) -> None:
    fault = outcome(TEACHER, {"custom_id": "1-0", "response": response, "error": error}, 1)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.billed) == (kind, billed)


def test_an_answer_keeps_its_whole_line_but_for_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCRD_TEST_KEY", "very-secret-0123456789")
    teacher = TEACHER.model_copy(update={"api_key_env": "QCRD_TEST_KEY"})
    choices = [{"index": i, "message": {"role": "assistant", "content": t}} for i, t in enumerate(["a", "", "c"])]
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    line: dict[str, Any] = {
        "custom_id": "1-0",
        "response": {"status_code": 200, "body": {"id": "c1", "model": "m", "choices": choices, "usage": usage}},
        "seen": "Bearer very-secret-0123456789",
    }
    answer = outcome(teacher, line, 3)
    assert isinstance(answer, Answer)
    assert [c.text for c in answer.completions] == ["a", "c"]
    assert (answer.input_tokens, answer.output_tokens, answer.provider_id) == (5, 7, "c1")
    assert json.loads(answer.raw) == {**line, "seen": "Bearer [redacted]"}


@given(
    st.one_of(st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(json.dumps))
)
def test_a_broken_line_is_nobodys(text: str) -> None:
    assert read(text) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON, st.sampled_from([200, 400, 500, None, "200"]))
def test_whatever_a_line_holds_is_an_answer_or_a_fault(body: object, error: object, status: object) -> None:
    line = {"custom_id": "1-0", "response": {"status_code": status, "body": body}, "error": error}
    assert isinstance(outcome(TEACHER, line, 1), Answer | Fault)
