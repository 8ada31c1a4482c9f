"""A user's own pattern for answers: one group, the last match counts, and a limit that really stops it.

Python's `re` cannot be stopped, and refusing nested quantifiers would not be enough: (a|a)* and .*.*.* run away too.
The package `regex` understands the same patterns and has a time limit.
"""

from collections import Counter, deque
from functools import cache
from typing import Any

from engine.answers.layout import MOST, Clause
from engine.errors import UsageError

LIMIT = 0.5
"""CPU seconds for one text: a hundred times what a pattern without runaway backtracking takes."""
LONGEST = 8_000
"""Characters at a text's end that are searched: that is where answers stand."""
MOST_TIMEOUTS = 5
"""Texts that a pattern may run out of time on before it is refused; until then each counts as no match."""

_timeouts: Counter[str] = Counter()


@cache
def compiled(pattern: str) -> Any:
    """The pattern. Raises ValueError, for the spec, where it is none or has not exactly one group."""
    import regex

    try:
        found = regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if found.groups != 1:
        raise ValueError(f"the pattern has {found.groups} groups, and one must be around the answer; (?:…) makes none")
    return found


def clauses(pattern: str, text: str) -> list[Clause]:
    """What the group matched, the last match first; none where it ran out of its time.

    Raises UsageError once that has happened on MOST_TIMEOUTS texts of this process.
    """
    if _timeouts[pattern] >= MOST_TIMEOUTS:
        raise UsageError(
            f"data.answer_pattern = {pattern!r:.80} ran out of its {LIMIT} s on {MOST_TIMEOUTS} texts: "
            "take nested or neighbouring repeats such as (a+)+ or .*.* out of it"
        )
    try:
        matches = deque(compiled(pattern).finditer(text, pos=max(0, len(text) - LONGEST), timeout=LIMIT), maxlen=MOST)
    except TimeoutError:
        _timeouts[pattern] += 1
        return []
    return [Clause(m.start(), m[1].strip(), m.end()) for m in reversed(matches) if m[1]]


def timeouts(pattern: str) -> int:
    """Texts of this process that the pattern ran out of time on."""
    return _timeouts[pattern]
