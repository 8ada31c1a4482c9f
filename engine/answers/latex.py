"""LaTeX answers: normalised strings first, then plain numbers as fractions, then math-verify in its limited process."""

import re
from fractions import Fraction

from engine.answers import layout, limited, number

UNWRAP = re.compile(r"\\(?:text|textbf|textit|textrm|mbox|mathrm|mathbf|operatorname)\s{0,3}\{([^{}]*)\}")
SPACING = re.compile(r"\\[!,;:> ]|\\q?quad\b|~|\{,\}|\s+")
DELIMITED = re.compile(r"\A(?:\$\$(.+)\$\$|\$(.+)\$|\\\((.+)\\\)|\\\[(.+)\\\])[.,]?\Z", re.DOTALL)
FRACTION = re.compile(r"(-?)\\frac(?:\{(\d{1,50})\}|(\d))(?:\{(\d{1,50})\}|(\d))")
INLINE = re.compile(r"\$([^$\n]{1,500})\$")


def normalise(answer: str) -> str:
    """Without delimiters, spacing, sizes (\\left, \\dfrac), text wrappers and a closing full stop."""
    answer = answer.strip()
    if match := DELIMITED.match(answer):
        answer = next(g for g in match.groups() if g is not None)
    answer = re.sub(r"\\(?:left|right|displaystyle)(?![a-zA-Z])", "", answer)
    answer = re.sub(r"\\[dt]frac(?![a-zA-Z])", r"\\frac", answer)
    answer = SPACING.sub("", UNWRAP.sub(r"\1", answer))
    return answer.rstrip(".,;").replace("\\$", "").replace("−", "-")


def value(normal: str) -> Fraction | None:
    """The number a normalised answer spells, where it is a plain one."""
    if match := FRACTION.fullmatch(normal):
        top, bottom = int(match[2] or match[3]), int(match[4] or match[5])
        return (-1 if match[1] else 1) * Fraction(top, bottom) if bottom else None
    return None if "%" in normal else number.value(normal)


def read(clause: str, choices: tuple[str, ...] = ()) -> str | None:
    """The clause without its delimiters."""
    clause = clause.strip()
    if match := DELIMITED.match(clause):
        clause = next(g for g in match.groups() if g is not None).strip()
    return clause or None


def read_spoken(clause: str, choices: tuple[str, ...] = ()) -> str | None:
    """The first $...$ behind "the answer is", else its first sentence."""
    if match := INLINE.search(clause):
        return match[1].strip() or None
    return read(layout.first_sentence(clause))


def equal(a: str, b: str) -> bool:
    """Whether b matches a (the gold answer, or a cluster's first member): math-verify is not symmetric."""
    left, right = normalise(a), normalise(b)
    if left == right:
        return True
    if not left or not right:
        return False
    numbers = value(left), value(right)
    if numbers[0] is not None and numbers[1] is not None:
        return numbers[0] == numbers[1]
    return limited.verify(a.strip(), b.strip())
