"""Multiple choice: a letter ("(b)", "B.") or an option's text; where the options are known, always an option's text."""

import re

from engine.answers import layout
from engine.answers.text import normalise

LETTER = re.compile(
    r"\A[\s\"'“*]{0,3}(?:option[ ]{1,3}|choice[ ]{1,3})?(?:\(([a-z])\)|([a-z])(?:[).:]|[\s\"'”*]{0,3}\Z))",
    re.IGNORECASE,
)
MENTIONED_LETTER = re.compile(r"\(([a-z])\)", re.IGNORECASE)


def canonical(answer: str, choices: tuple[str, ...]) -> str | None:
    """The option that a letter, a letter with text, or an option's text names; None where it names none."""
    wanted = normalise(answer)
    for option in choices:
        if option.strip().casefold() == answer.strip().casefold() or (wanted and normalise(option) == wanted):
            return option
    if (match := LETTER.match(answer)) is not None:
        place = ord((match[1] or match[2]).lower()) - ord("a")
        return choices[place] if place < len(choices) else None
    return None


def read(clause: str, choices: tuple[str, ...] = ()) -> str | None:
    """The option a clause names: exactly, by letter, or as the only option that its first sentence mentions."""
    clause = clause[: layout.LONGEST_LINE]
    if not choices:
        return _free(clause)
    sentence = layout.first_sentence(clause)
    for candidate in (clause, sentence):
        if (found := canonical(candidate, choices)) is not None:
            return found
    return _only(sentence, choices)


def last(text: str, choices: tuple[str, ...]) -> tuple[int, str] | None:
    """The last option mentioned, by "(b)" or by its text, with its offset."""
    found: tuple[int, str] | None = None
    for match in MENTIONED_LETTER.finditer(text):
        place = ord(match[1].lower()) - ord("a")
        if place < len(choices):
            found = (match.start(), choices[place])
    for option in choices:
        if not normalise(option):
            continue
        for match in re.finditer(rf"(?<!\w){re.escape(option.strip())}(?!\w)", text, re.IGNORECASE):
            if found is None or match.start() > found[0]:
                found = (match.start(), option)
    return found


def equal(a: str, b: str) -> bool:
    """Equal normalised texts; "(B)", "b." and "b" are one letter."""
    return _key(a) == _key(b)


def _key(answer: str) -> str:
    if (match := LETTER.match(answer)) is not None and not answer[match.end() :].strip():
        return (match[1] or match[2]).lower()
    return normalise(answer) or answer.strip().casefold()


def _free(clause: str) -> str | None:
    """Without known options: a letter if there is one in brackets, else the first sentence."""
    if (match := LETTER.match(clause)) is not None:
        return (match[1] or match[2]).lower()
    return layout.first_sentence(clause).strip(" \"'“”*") or None


def _only(sentence: str, choices: tuple[str, ...]) -> str | None:
    """The one option mentioned in a sentence; of "bank" and "bank account" the longer, where one contains the other."""
    inside = f" {normalise(sentence)} "
    named = [c for c in choices if normalise(c) and f" {normalise(c)} " in inside]
    longest = [c for c in named if not any(c != d and f" {normalise(c)} " in f" {normalise(d)} " for d in named)]
    return longest[0] if len(longest) == 1 else None
