"""Prompts: the defaults teach the paper's layout in a form that the parser reads; a user's file is checked."""

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.answers.kinds import equal, parse
from engine.errors import UsageError
from engine.records import Example
from engine.spec.sections import AnswerKind
from engine.spec.teachers import TeacherConfig
from engine.teacher.messages import Prompt, ask, load_prompt, messages_for

KINDS = get_args(AnswerKind)
REAL = TeacherConfig(model="openai/some")


@pytest.mark.parametrize("kind", KINDS)
def test_default_shots_are_in_the_papers_layout_and_parse_strictly(kind: AnswerKind) -> None:
    prompt = load_prompt(REAL, kind)
    assert len(prompt.shots) >= 2
    messages = messages_for(prompt, Example("x", "How many?"))
    assert [m["role"] for m in messages] == ["system", *["user", "assistant"] * len(prompt.shots), "user"]
    assert messages[-1]["content"] == "How many?"
    for (shot, rationale), reply in zip(prompt.shots, messages[2::2], strict=True):
        assert reply["content"].startswith("<Explanation>: ")
        parsed = parse(kind, reply["content"], shot.choices)
        assert parsed.rule == "strict"
        assert parsed.rationale == rationale
        assert parsed.answer is not None
        assert shot.answer is not None
        if kind != "latex":
            wanted = parse(kind, f"<Answer>: {shot.answer}", shot.choices).answer
            assert wanted is not None
            assert equal(kind, parsed.answer, wanted)


@pytest.mark.parametrize("kind", ["number", "equation"])
def test_the_arithmetic_of_the_default_shots_is_right(kind: AnswerKind) -> None:
    """A wrong shot would teach every real teacher to be wrong."""
    from engine.answers.equation import value

    for shot, rationale in load_prompt(REAL, kind).shots:
        claims = [part.split("=") for part in rationale.replace(",", ".").split(". ") if "=" in part]
        for left, right in claims:
            digits = [w for w in left.split() if w[0].isdigit() or w in "+-*/"]
            assert value(" ".join(digits[-3:])) == value(right.split()[0].rstrip("."))
        assert shot.answer is not None
        assert value(shot.answer) is not None


def test_choices_are_lettered() -> None:
    assert ask(Example("x", "Where?", choices=("here", "there"))) == "Where?\nAnswer choices:\n(a) here\n(b) there"
    assert ask(Example("x", "Where?")) == "Where?"


def test_a_users_file(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(
        'system = "Think."\nformat = "{rationale} #### {answer}"\n'
        '[[shots]]\nquestion = "1 + 1?"\nrationale = "{answer} is literal"\nanswer = "2"\n'
    )
    prompt = load_prompt(TeacherConfig(model="openai/x", prompt=str(path)), "number")
    assert messages_for(prompt, Example("x", "{question} {0}")) == [
        {"role": "system", "content": "Think."},
        {"role": "user", "content": "1 + 1?"},
        {"role": "assistant", "content": "{answer} is literal #### 2"},
        {"role": "user", "content": "{question} {0}"},
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sytem = 'x'", "unknown key 'sytem'"),
        ("system = ", "not valid TOML"),
        ("system = 1", "must be texts"),
        ("shots = 1", "shots must be tables"),
        ("format = 'x'\n[[shots]]\nquestion='q'\nrationale='r'\nanswer='a'", "format must contain"),
        ("format = '{rationale}{answer}'\n[[shots]]\nquestion='q'\nrationale='r'", "shot 1: answer is missing"),
        ("format = '{rationale}{answer}'\n[[shots]]\nq='q'", "shot 1: unknown key 'q'"),
    ],
)
def test_a_bad_file_is_named_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        load_prompt(TeacherConfig(prompt=str(path)), "number")
    assert "p.toml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml"):
        load_prompt(TeacherConfig(prompt=str(tmp_path / "none.toml")), "number")


@given(st.text())
def test_the_question_is_passed_on_as_it_is(question: str) -> None:
    prompt = Prompt("", "{rationale} {answer}", ())
    assert messages_for(prompt, Example("x", question)) == [{"role": "user", "content": question}]
