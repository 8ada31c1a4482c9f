"""How many tokens a question has: counted where the tokeniser is at hand, else estimated; and a bound that holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from engine.spec.teachers import TeacherConfig
from engine.teacher import client

PER_MESSAGE = 4
"""Tokens of a chat's layout around each message, and once more before the answer (OpenAI's cookbook: 3 and a role)."""
MOST_PER_MESSAGE = 16
"""More than any provider's layout has."""
BUILTIN_WORDS = ("builtin/",)


@dataclass(frozen=True, slots=True)
class Counted:
    """Tokens of one list of messages."""

    tokens: int
    exact: bool
    """False: by a tokeniser that may not be the model's."""
    most: int
    """No tokeniser makes more: one of bytes has a token a byte at most."""


def count(teacher: TeacherConfig, messages: Sequence[dict[str, str]]) -> Counted:
    """Tokens of the messages that a provider would bill. Asks nobody."""
    texts = [m["content"] for m in messages]
    layout = PER_MESSAGE * (len(texts) + 1)
    exact = _is_known(teacher.model) and not teacher.api_base
    tokens = sum(_tokens(teacher.model, text) for text in texts) + layout
    if exact:
        return Counted(tokens, True, tokens + MOST_PER_MESSAGE)
    most = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) + MOST_PER_MESSAGE * (len(texts) + 1)
    return Counted(tokens, False, most)


@lru_cache(maxsize=4096)
def _tokens(model: str, text: str) -> int:
    """Cached, since the few-shot part of a prompt is the same for every question."""
    if model.startswith(BUILTIN_WORDS):
        return len(text.split())
    return int(client.load_litellm().token_counter(model=_bare(model), text=text))


@lru_cache(maxsize=64)
def _is_known(model: str) -> bool:
    """Whether LiteLLM counts with the model's own tokeniser: OpenAI's it has, those of others it would download."""
    if model.startswith(BUILTIN_WORDS):
        return True
    litellm = client.load_litellm()
    return _bare(model) in litellm.open_ai_chat_completion_models


def _bare(model: str) -> str:
    """Without its provider, as the counter wants it."""
    found = client.at_provider(model)
    return model if found is None else found[0]
