"""Short free texts: compared without case, articles, punctuation and extra white space (as SQuAD does)."""

import re
import unicodedata

from engine.answers import layout


def normalise(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub(r"[^\w\s]|_", " ", text)
    return " ".join(re.sub(r"\b(?:a|an|the)\b", " ", text).split())


def read(clause: str, choices: tuple[str, ...] = ()) -> str | None:
    """The clause itself, without surrounding white space."""
    return clause.strip() or None


def read_spoken(clause: str, choices: tuple[str, ...] = ()) -> str | None:
    """The first sentence behind "the answer is"."""
    return layout.first_sentence(clause).strip(" \"'“”*") or None


def equal(a: str, b: str) -> bool:
    """Equal after normalisation; where nothing is left of one ("the", "?!"), equal as written but for case."""
    left, right = normalise(a), normalise(b)
    if not left or not right:
        return a.strip().casefold() == b.strip().casefold()
    return left == right
