"""Where a wrong rationale leaves a right one: the words that differ, and the first step that does. Pure functions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

COMPARED = 200
"""Words of a text that are compared: matching grows with the square."""
NUMBER = re.compile(r"-?\d+(?:[.,/]\d+)*")
STEP_END = re.compile(r"[.!?;:][\"')\]]*$")


@dataclass(frozen=True, slots=True)
class Side:
    """What is marked in one of the two texts, by the number of its word."""

    first: int | None = None
    """Where it parts company; None: nowhere."""
    words: frozenset[int] = frozenset()
    """Those that differ; none where the texts share too little for that to say anything."""


@dataclass(frozen=True, slots=True)
class Parting:
    """How two texts part."""

    positive: Side
    negative: Side
    edits: int = 0
    """How many words of the negative differ, marked or not."""
    alike: bool = True
    """Whether they share enough for single words to be marked."""


@lru_cache(maxsize=64)
def parting(positive: str, negative: str) -> Parting:
    """Compares word by word; two phrasings of one thing by the number that each of their steps ends in."""
    left, right = positive.split()[:COMPARED], negative.split()[:COMPARED]
    if left == right:
        return Parting(Side(), Side())
    gone, new = edited(left, right)
    if 2 * len(new) <= len(right):
        return Parting(_side(left, right, gone), _side(right, left, new), len(new))
    here, there = _first_step(left, right) or (_beginning(left, right), _beginning(right, left))
    return Parting(Side(here), Side(there), len(new), alike=False)


def _side(words: Sequence[str], others: Sequence[str], changed: set[int]) -> Side:
    return Side(_beginning(words, others), frozenset(changed))


def _beginning(words: Sequence[str], others: Sequence[str]) -> int | None:
    """The first word that is not the other's; the last where the text stops short."""
    start = 0
    while start < min(len(words), len(others)) and words[start] == others[start]:
        start += 1
    return min(start, len(words) - 1) if words else None


def _first_step(left: Sequence[str], right: Sequence[str]) -> tuple[int, int] | None:
    """The words in which the first steps end that come to another number; None where no such step can be told."""
    ours, theirs = _results(left), _results(right)
    for (at, mine), (there, other) in zip(ours, theirs, strict=False):
        if mine != other:
            return at, there
    return None


def _results(words: Sequence[str]) -> list[tuple[int, str]]:
    """The last number of each step, with the place of its word; a step ends with a sentence, the last one anyhow."""
    found: list[tuple[int, str]] = []
    last: tuple[int, str] | None = None
    for i, word in enumerate(words):
        numbers = NUMBER.findall(word)
        if numbers:
            last = (i, numbers[-1])
        if STEP_END.search(word) or i == len(words) - 1:
            if last is not None:
                found.append(last)
            last = None
    return found


def edited(left: Sequence[str], right: Sequence[str]) -> tuple[set[int], set[int]]:
    """The words of `left` that the fewest edits take away or replace, and those of `right` that they put there."""
    # what is alike at both ends needs no table
    start, stop = 0, 0
    while start < min(len(left), len(right)) and left[start] == right[start]:
        start += 1
    while stop < min(len(left), len(right)) - start and left[-1 - stop] == right[-1 - stop]:
        stop += 1
    a, b = left[start : len(left) - stop], right[start : len(right) - stop]
    cost = [list(range(len(b) + 1))]
    for i, word in enumerate(a):
        above, row = cost[-1], [i + 1]
        for j, other in enumerate(b):
            row.append(min(above[j] + (word != other), above[j + 1] + 1, row[j] + 1))
        cost.append(row)
    i, j = len(a), len(b)
    gone: set[int] = set()
    new: set[int] = set()
    while i > 0 or j > 0:
        if i > 0 and j > 0 and cost[i][j] == cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]):
            i, j = i - 1, j - 1
            if a[i] != b[j]:
                gone.add(start + i)
                new.add(start + j)
        elif i > 0 and cost[i][j] == cost[i - 1][j] + 1:
            i -= 1
            gone.add(start + i)
        else:
            j -= 1
            new.add(start + j)
    return gone, new
