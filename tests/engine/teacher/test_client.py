"""What can be told about a teacher before anything is asked, and what a litellm import must not do."""

import os
import subprocess
import sys

import pytest

from engine.errors import UsageError
from engine.spec.teachers import TeacherConfig
from engine.teacher.client import accepts_n, answer_of, check, fault_of, key_of, key_variable, load_litellm, secret_of


def test_an_unknown_provider_is_named() -> None:
    with pytest.raises(UsageError, match="'nonsense' names no provider"):
        check(TeacherConfig(model="nonsense"))


def test_a_missing_key_is_named_and_a_present_one_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    teacher = TeacherConfig(model="anthropic/claude-3-5-haiku-20241022")
    with pytest.raises(UsageError, match="ANTHROPIC_API_KEY"):
        check(teacher)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "some-key")
    check(teacher)


def test_teachers_that_need_no_key() -> None:
    check(TeacherConfig())
    check(TeacherConfig(model="replay:some.jsonl"))
    check(TeacherConfig(model="openai/mine", api_base="http://127.0.0.1:1/v1"))


def test_the_variable_of_the_key() -> None:
    assert key_variable(TeacherConfig(model="gpt-4o-mini")) == "OPENAI_API_KEY"
    assert key_variable(TeacherConfig(model="gpt-4o-mini", api_key_env="MINE")) == "MINE"


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("text-completion-openai/gpt-3.5-turbo-instruct", "OPENAI_API_KEY"),
        ("text-completion-codestral/codestral-latest", "CODESTRAL_API_KEY"),
        ("together_ai/some/model", "TOGETHERAI_API_KEY"),
        ("together_ai/some/model", "TOGETHER_AI_API_KEY"),
        ("perplexity/sonar", "PERPLEXITYAI_API_KEY"),
        ("gemini/gemini-2.0-flash", "GEMINI_API_KEY"),
        ("gemini/gemini-2.0-flash", "GOOGLE_API_KEY"),
        ("cohere_chat/command-r", "COHERE_API_KEY"),
        ("groq/some-model", "GROQ_API_KEY"),
    ],
)
def test_the_key_that_litellm_reads_is_known_and_kept_out(
    model: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.endswith(("_API_KEY", "_TOKEN"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(variable, "weird+key/1234")
    teacher = TeacherConfig(model=model)
    check(teacher)
    assert key_variable(teacher) == variable
    assert secret_of(teacher, key_of(teacher)) == "weird+key/1234"
    at_a_server = TeacherConfig(model=model, api_base="http://127.0.0.1:1/v1")
    assert key_of(at_a_server) is None  # litellm sends its own


def test_settings_that_a_model_does_not_take_are_told_before_a_request() -> None:
    teacher = TeacherConfig(model="openai/o3-mini", api_base="http://127.0.0.1:1/v1")
    with pytest.raises(UsageError, match=r"does not take these settings.*temperature.* set teacher.temperature = 1$"):
        check(teacher)
    check(teacher.model_copy(update={"temperature": 1.0}))


@pytest.mark.parametrize(
    "name", ["ConnectError", "UnsupportedProtocol", "LocalProtocolError", "InvalidURL", "ReadError"]
)
def test_what_never_left_is_not_billed(name: str) -> None:
    litellm = load_litellm()
    error = litellm.APIConnectionError(message="x", llm_provider="openai", model="m")
    error.__cause__ = type(name, (Exception,), {})()
    fault = fault_of(error, None)
    assert (fault.kind, fault.billed) == ("unreachable", None if name == "ReadError" else False)
    refused = fault_of(litellm.UnsupportedParamsError("no", llm_provider="openai", model="m"), None)
    assert (refused.kind, refused.status, refused.sent, refused.billed) == ("request", None, False, False)


def test_nothing_of_an_answer_repeats_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANOTHER_PROVIDER_TOKEN", 'quo"ted-secret')
    keys = ("weird+key/1234", "weird%2Bkey%2F1234", "weird%2bkey/1234", 'quo"ted-secret')
    said = " ".join(keys)
    message = {"role": "assistant", "content": said, "reasoning_content": said}
    response = load_litellm().ModelResponse(
        id=f"id {said}", model=f"m {said}", choices=[{"message": message, "finish_reason": "stop"}]
    )
    answer = answer_of(response, 1, "weird+key/1234")
    whole = " ".join((answer.model or "", answer.provider_id or "", answer.raw))
    whole += answer.completions[0].text + (answer.completions[0].reasoning or "")
    assert (answer.model or "").startswith("m [redacted]")
    for key in (*keys, "ted-secret"):
        assert key not in whole


def test_several_completions_in_one_request_where_the_provider_takes_them() -> None:
    assert accepts_n(TeacherConfig())
    assert accepts_n(TeacherConfig(model="openai/mine", api_base="http://127.0.0.1:1/v1"))
    assert not accepts_n(TeacherConfig(model="anthropic/claude-3-5-haiku-20241022"))


def test_importing_the_package_leaves_litellm_alone() -> None:
    code = "import sys, engine.teacher.sampling, engine.store.ledger.ledger; sys.exit('litellm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
