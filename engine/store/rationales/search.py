"""Full-text search over a run's questions and rationales: whole words as they follow one another; `subtr*` a beginning.

What is between the words does not count, nor does case. Where an index of words cannot help (nothing but signs, or
a script without blanks) the text is looked for as it was typed.
"""

import re
import sqlite3
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

COMMON = 20_000
"""Words that more texts hold are looked for question by question: the next is near, and listing all would take long."""
MANY = 1000
"""Questions that signs may stand in before they are looked for in that way too."""
CHUNK = 40
"""Questions read at once, then."""
WORD = re.compile(r"[^\W_]+")
PROBES = 32
"""Places looked at to tell whether a run's texts lie side by side."""
DENSE = 0.7
"""Share of them that are a text of the run's, from which on it is quicker to read all texts between."""


@dataclass(frozen=True, slots=True)
class Match:
    """Where a search led."""

    index: int
    place: int | None
    """Which of the questions that match, from 1; None: too many to be counted."""
    total: int | None


@lru_cache(maxsize=16)
def pattern(words: str) -> re.Pattern[str] | None:
    """What the words match in a text; None where there are none."""
    if not words.strip():
        return None
    if phrase(words) is None:
        return re.compile(re.escape(words.strip()), re.IGNORECASE)
    end = "" if words.rstrip().endswith("*") else r"(?![^\W_])"
    return re.compile(r"(?<![^\W_])" + r"[\W_]+".join(map(re.escape, WORD.findall(words))) + end, re.IGNORECASE)


def phrase(words: str) -> str | None:
    """The words as FTS5 takes them, whatever they hold; None: the index cannot help."""
    if not WORD.search(words) or any(unicodedata.east_asian_width(c) in "WF" for c in words):
        return None
    return '"' + words.replace("\0", " ").replace('"', '""') + ('" *' if words.rstrip().endswith("*") else '"')


HOLDS = "t.text LIKE ? ESCAPE '\\' AND instr(lower(t.text), lower(?)) > 0"
"""Of texts `t`: holds what `holding` gives. LIKE is three times faster, but sees nothing behind a null character."""


def holding(words: str) -> tuple[str, str]:
    """What HOLDS compares a text with."""
    plain = words.strip()
    start = plain.partition("\0")[0]
    return "%" + re.sub(r"([\\%_])", r"\\\1", start) + "%", plain


def holding_questions(con: sqlite3.Connection, run_id: int, words: str) -> tuple[str, tuple[Any, ...]]:
    """SQL of the ids of questions of which a rationale holds the words as they were typed, with its values.

    In the order of the texts, as they lie in the file: where most from the run's first to its last are its own, all
    of these are read (a fifth less time), else each by its number.
    """
    ends = (
        "SELECT min(text_id) FROM rationales WHERE run_id = ?",
        "SELECT max(text_id) FROM rationales WHERE run_id = ?",
    )
    first, last = (con.execute(end, (run_id,)).fetchone()[0] or 0 for end in ends)
    probes = range(first, last + 1, max(1, (last - first) // PROBES))
    found = con.execute(
        "SELECT count(DISTINCT text_id) FROM rationales INDEXED BY rationales_text WHERE run_id = ?"
        f" AND text_id IN ({', '.join(map(str, probes))})",
        (run_id,),
    ).fetchone()[0]
    if found < DENSE * len(probes):
        tables = "rationales r INDEXED BY rationales_text CROSS JOIN texts t ON t.id = r.text_id WHERE r.run_id = ?"
        return f"SELECT DISTINCT r.example FROM {tables} AND {HOLDS}", (run_id, *holding(words))
    # +: or else SQLite looks a text's rationales up by the bounds of all
    tables = "texts t CROSS JOIN rationales r INDEXED BY rationales_text ON r.run_id = ? AND r.text_id = +t.id"
    sql = f"SELECT DISTINCT r.example FROM {tables} WHERE t.id BETWEEN ? AND ? AND {HOLDS}"
    return sql, (run_id, first, last, *holding(words))


def walk(con: sqlite3.Connection, run_id: int, keys: Sequence[str], after: int, words: str, by: int) -> Match | None:
    """The next (by = 1) or previous (-1) question after the place `after` that holds the words, round the end.

    For words that too many hold to list them all; `keys`: the questions to look among, in order.
    """
    start = max(-1, min(after, len(keys)))
    ahead = [*range(start + 1, len(keys)), *range(min(start + 1, len(keys)))]
    back = [*range(start - 1, -1, -1), *range(len(keys) - 1, max(start, 0) - 1, -1)]
    index = _walk(con, run_id, keys, ahead if by > 0 else back, words)
    return None if index is None else Match(index, None, None)


def nearest(hits: Sequence[int], after: int, by: int) -> Match | None:
    """The next or previous of some places, ascending, round the end."""
    if not hits:
        return None
    at = bisect_right(hits, after) if by > 0 else bisect_left(hits, after) - 1
    at %= len(hits)
    return Match(hits[at], at + 1, len(hits))


def matching(con: sqlite3.Connection, run_id: int, keys: Sequence[str], words: str) -> tuple[int, ...] | None:
    """Places of all questions that hold the words, or a rationale of which does; None: too many to list."""
    found = pattern(words)
    if found is None:
        return ()
    told = _rationales(con, run_id, words)
    if told is None:
        return None
    told |= _questions(con, run_id, words, found)
    return tuple(i for i, key in enumerate(keys) if key in told or key == words)


def _questions(con: sqlite3.Connection, run_id: int, words: str, found: re.Pattern[str]) -> set[str]:
    """Ids of the questions that hold the words themselves."""
    if phrase(words) is None:
        held, values = HOLDS.replace("t.text", "x.question"), list(holding(words))
    else:
        plain = [word for word in WORD.findall(words) if word.isascii()][:8]
        held, values = " AND ".join(["1", *["x.question LIKE ?"] * len(plain)]), [f"%{word}%" for word in plain]
    rows = con.execute(
        "SELECT x.key, x.question FROM run_datasets d JOIN examples x ON x.dataset_id = d.dataset_id"
        f" WHERE d.run_id = ? AND {held}",
        (run_id, *values),
    ).fetchall()
    return {key for key, question in rows if found.search(question)}


def _rationales(con: sqlite3.Connection, run_id: int, words: str) -> set[str] | None:
    """Ids of the questions of which a rationale holds the words; None: too many."""
    asked = phrase(words)
    if asked is None:
        sql, values = holding_questions(con, run_id, words)
        rows = con.execute(f"{sql} LIMIT ?", (*values, MANY + 1)).fetchall()
        return {row[0] for row in rows} if len(rows) <= MANY else None
    many = con.execute(
        "SELECT count(*) FROM (SELECT 1 FROM text_words WHERE text_words MATCH ? LIMIT ?)", (asked, COMMON + 1)
    ).fetchone()[0]
    if many > COMMON:
        return None
    rows = con.execute(
        "SELECT DISTINCT r.example FROM text_words w CROSS JOIN rationales r ON r.run_id = ? AND r.text_id = w.rowid"
        " WHERE w.text_words MATCH ?",
        (run_id, asked),
    ).fetchall()
    return {row[0] for row in rows}


def _walk(con: sqlite3.Connection, run_id: int, keys: Sequence[str], order: Sequence[int], words: str) -> int | None:
    """The first of `order` of which a rationale holds the words, or else the question."""
    found = pattern(words)
    if found is None:
        return None
    for start in range(0, len(order), CHUNK):
        some = order[start : start + CHUNK]
        marks = ", ".join(f"?{i + 2}" for i in range(len(some)))
        rows = con.execute(
            "SELECT r.example, t.text FROM rationales r JOIN texts t ON t.id = r.text_id"
            f" WHERE r.run_id = ?1 AND r.example IN ({marks}) UNION ALL SELECT x.key, x.question"
            " FROM run_datasets d JOIN examples x ON x.dataset_id = d.dataset_id"
            f" WHERE d.run_id = ?1 AND x.key IN ({marks})",
            (run_id, *(keys[i] for i in some)),
        ).fetchall()
        hits = {key for key, text in rows if found.search(text)}
        index = next((i for i in some if keys[i] in hits), None)
        if index is not None:
            return index
    return None
