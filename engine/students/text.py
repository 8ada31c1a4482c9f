"""Texts of people and models as tokens: what reads like a control token is text, and is never obeyed."""

import re
from collections.abc import Callable
from functools import lru_cache

from transformers import PreTrainedTokenizerBase

from engine.students.seam import cut

CACHED_TEXTS = 20_000
"""Texts whose tokens are remembered: teachers repeat themselves."""


def disarmed(tokenizer: PreTrainedTokenizerBase, but: str = "") -> Callable[[str], str]:
    """Replaces special tokens in a text (`but` that one) by a space: one from a model must not end a target early."""
    added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    special = sorted({*tokenizer.all_special_tokens, *added} - {but}, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, special)))
    return lambda text: pattern.sub(" ", text) if special else text


def remembered(tokens: Callable[[str], list[int]]) -> Callable[[str], list[int]]:
    """The same, with the latest texts' tokens kept; the list is the caller's own."""
    cached = lru_cache(CACHED_TEXTS)(lambda text: tuple(tokens(text)))
    return lambda text: list(cached(text))


def cut_target(tokens: list[int], ending: list[int] | None, limit: int) -> list[int]:
    """At most `limit` tokens; with an `ending` (the answer's clause) the middle goes and the ending stays.

    An explain head whose longest targets have no answer would learn to leave it out.
    """
    if ending is None or len(tokens) <= limit:
        return cut(tokens, limit)
    ending = cut(ending, limit)
    return [*tokens[: limit - len(ending)], *ending]
