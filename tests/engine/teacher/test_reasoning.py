"""Hidden reasoning is told from the answer, however a model writes it."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.teacher.reasoning import apart, of_message


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>2 and 2</think>\n\n4", "2 and 2", "4"),
        ("\n<thinking>\n2 and 2\n</thinking>4", "2 and 2", "4"),
        ("2 and 2\n</think>\n4", "2 and 2", "4"),  # the template had opened it
        ("<think>2 and", "2 and", ""),  # the tokens ran out
        ("<think></think>4", None, "4"),
        ("<think>\n\n</think>\n\n4", None, "4"),
        ("4", None, "4"),
        (" 4 \n", None, " 4 \n"),
        ("say <think> and </think> aloud", None, "say <think> and </think> aloud"),
        ("<think>a <think> b</think>4</think>", "a <think> b", "4</think>"),
        ("", None, ""),
    ],
)
def test_think_blocks(text: str, reasoning: str | None, answer: str) -> None:
    assert apart(text) == (reasoning, answer)


@given(st.text(alphabet="ab <>/think\n"))
def test_nothing_is_made_up_and_a_text_without_a_tag_stays(text: str) -> None:
    reasoning, answer = apart(text)
    assert (reasoning or "") in text
    assert text.endswith(answer)
    if "think>" not in text:
        assert (reasoning, answer) == (None, text)


def test_what_the_provider_names_comes_first() -> None:
    assert of_message(SimpleNamespace(content="4", reasoning_content="2 and 2")) == ("2 and 2", "4")
    blocks = [{"type": "thinking", "thinking": "2"}, {"type": "redacted_thinking", "data": "x"}]
    assert of_message(SimpleNamespace(content="4", reasoning_content=None, thinking_blocks=blocks)) == ("2", "4")
    assert of_message(SimpleNamespace(content=None)) == (None, "")
    assert of_message(SimpleNamespace(content="<think>2</think>4", reasoning_content="")) == ("2", "4")
