"""Numbers: "42", "1,000", "$5", "3/4", "1 1/2", "-2.50", "20%". Compared exactly, as fractions; never evaluated."""

import re
from fractions import Fraction

NUMBER = re.compile(
    r"(?<![\w.])(?:(?<!\))-)?(?:[$£€]\s?-?)?"
    r"(?:(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d+)(?:\.\d+)?|\.\d+)(?:\s?/\s?\d+(?![\d.]\d))?"
)
MIXED = re.compile(r"(-?)(\d+)\s+(\d+)\s?/\s?(\d+)")
PLAIN = re.compile(r"(-?(?:\d+(?:\.\d*)?|\.\d+))(?:\s?/\s?(\d+))?")
LONGEST = 400
"""Digits beyond which a number is compared as text: Python's own limit on int(str) is not far."""


def tidy(text: str) -> str:
    """Without currency, thousands commas, a closing percent sign or full stop; unicode minus as "-"."""
    text = text.strip().replace("−", "-").replace("–", "-")
    text = re.sub(r"[$£€]\s?|(?<=\d),(?=\d{3}(?:\D|\Z|,))", "", text)
    text = re.sub(r"\A([+-])\s{1,5}", r"\1", text).removeprefix("+")
    return text.rstrip(".% ")


def value(text: str) -> Fraction | None:
    """The number a text spells, or None where it spells none (or divides by zero, or is absurdly long)."""
    if len(text) > LONGEST:
        return None
    text = tidy(text)
    if match := MIXED.fullmatch(text):
        whole, top, bottom = int(match[2]), int(match[3]), int(match[4])
        if bottom == 0:
            return None
        return (-1 if match[1] else 1) * (whole + Fraction(top, bottom))
    if match := PLAIN.fullmatch(text):
        bottom = int(match[2] or 1)
        return Fraction(match[1]) / bottom if bottom else None
    return None


def read(clause: str, choices: tuple[str, ...] = ()) -> str | None:
    """The first number of an answer's clause; of "2 + 3 = 5" the one behind the last "="."""
    clause = clause.rpartition("=")[2] or clause
    clause = re.sub(r"\A\s*-\s{1,3}(?=[\d.$])", "-", clause.replace("−", "-"))
    if (mixed := MIXED.match(clause.lstrip())) is not None:
        return mixed[0]
    match = NUMBER.search(clause)
    return tidy(match[0]) if match else None


def last(text: str) -> tuple[int, str] | None:
    """The last number of a text with its offset."""
    match = None
    for match in NUMBER.finditer(text.replace("−", "-")):  # noqa: B007
        pass
    return (match.start(), tidy(match[0])) if match else None


def equal(a: str, b: str) -> bool:
    """Equal values; texts that spell no number are equal where they are the same text."""
    left, right = value(a), value(b)
    if left is None or right is None:
        return left is right and " ".join(a.split()) == " ".join(b.split())
    return left == right
