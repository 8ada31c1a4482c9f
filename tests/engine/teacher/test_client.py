"""What can be told about a teacher before anything is asked, and what a litellm import must not do."""

import subprocess
import sys

import pytest

from engine.errors import UsageError
from engine.spec.teachers import TeacherConfig
from engine.teacher.client import accepts_n, check, key_variable


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


def test_several_completions_in_one_request_where_the_provider_takes_them() -> None:
    assert accepts_n(TeacherConfig())
    assert accepts_n(TeacherConfig(model="openai/mine", api_base="http://127.0.0.1:1/v1"))
    assert not accepts_n(TeacherConfig(model="anthropic/claude-3-5-haiku-20241022"))


def test_importing_the_package_leaves_litellm_alone() -> None:
    code = "import sys, engine.teacher.sampling, engine.store.ledger; sys.exit('litellm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
