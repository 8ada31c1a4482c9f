"""SQL as a person types it: its tokens, to be coloured and completed. It need not be complete or right."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

LONGEST = 100_000
"""Characters that are looked at: more than a query may have."""
KEYWORDS = frozenset(
    "all and as asc between by case cast collate cross current desc distinct else end escape except exists explain "
    "following from full glob group having in inner intersect is isnull join left like limit natural not notnull null "
    "nulls offset on or order outer over partition plan pragma preceding query range recursive right rows select then "
    "unbounded union using values when where window with".split()
)
FUNCTIONS = (
    "abs avg coalesce count date datetime first_value format group_concat hex iif ifnull instr json_array_length "
    "json_each json_extract lag last_value lead length lower ltrim max min nullif printf rank replace round row_number "
    "rtrim strftime substr sum total trim typeof unixepoch upper".split()
)
TOKEN = re.compile(
    r"(?P<comment>--[^\n]*|/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z))"
    r"|(?P<text>'(?:[^']|'')*+(?:'|\Z))"
    r'|(?P<name>"(?:[^"]|"")*+(?:"|\Z))'
    r"|(?P<number>(?<!\w)\d[\w.]*)"
    r"|(?P<word>[^\W\d]\w*)"
    r"|(?P<sign>\S)"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL and where it lies: from `start` up to `stop`."""

    kind: str
    """comment, text, name, number, keyword, word or sign."""
    start: int
    stop: int
    text: str


@lru_cache(maxsize=4)
def tokens(sql: str) -> tuple[Token, ...]:
    """The tokens of the first LONGEST characters, in order."""
    return tuple(_tokens(sql[:LONGEST]))


def _tokens(sql: str) -> Iterator[Token]:
    for match in TOKEN.finditer(sql):
        kind, text = match.lastgroup or "", match[0]
        if kind == "word" and text.lower() in KEYWORDS:
            kind = "keyword"
        yield Token(kind, match.start(), match.end(), text)


@lru_cache(maxsize=4)
def spans(sql: str) -> dict[int, list[tuple[int, int, str]]]:
    """What to colour: by line, (first column, column after the last, kind); words and signs stay as they are."""
    starts = [0, *(match.end() for match in re.finditer("\n", sql))]
    found: dict[int, list[tuple[int, int, str]]] = {}
    row = 0
    for token in tokens(sql):
        if token.kind in ("word", "sign"):
            continue
        while row + 1 < len(starts) and starts[row + 1] <= token.start:
            row += 1
        at, column = row, token.start - starts[row]
        for part in token.text.split("\n"):
            found.setdefault(at, []).append((column, column + len(part), token.kind))
            at, column = at + 1, 0
    return found
