"""Which rationales, and so which questions, a person wants to see: one filter for the console and `qcrd rationales`."""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from engine.errors import UsageError
from engine.store.rationales.search import HOLDS, holding, holding_questions, phrase

TERM = re.compile(r'(\w+)(<|>|=)("[^"]*"?|\S*)|(\S+)')
CHOICES: dict[str, tuple[str, ...]] = {
    "polarity": ("positive", "negative", "dropped", "unparsed"),
    "source": ("teacher", "minority", "self", "fixed", "perturbed", "peer"),
    "chosen": ("yes", "no"),
    "active": ("yes", "no"),
    "answer": ("right", "wrong"),
    "student": ("right", "wrong"),
    "flagged": ("yes", "no"),
    "flipped": ("yes", "no"),
}
"""What can be asked for, with the values; of the last two kinds alone "yes" or "right" may be left away."""
TERMS = (*CHOICES, "quality", "text")
RIGHT = (
    "CASE WHEN r.answer IS NULL OR x.answer IS NULL THEN NULL WHEN r.polarity = 'positive' THEN v.correct"
    " ELSE r.answer = x.answer OR (v.correct = 1 AND r.answer = v.answer) END"
)
"""A positive answers as the vote does; another is right where it says what gold, or the right vote, says."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a rationale must be like, at its question's last visit; None: anything.

    A question matches with one such rationale.
    """

    polarity: str | None = None
    source: str | None = None
    quality: tuple[float, float] | None = None
    """Lowest and highest."""
    chosen: bool | None = None
    active: bool | None = None
    """A chosen negative that counts, or that the hinge has silenced."""
    answer: bool | None = None
    """Whether the answer it ends in is the gold one."""
    student: bool | None = None
    """Whether the student was right on the question at the last evaluation; of followed ones."""
    flagged: bool | None = None
    """The rationale or its question."""
    flipped: bool | None = None
    """Whether the student was right and is now wrong, or the other way round, since the evaluation before the last."""
    text: str | None = None
    """Words that it holds."""

    @property
    def of_visits(self) -> bool:
        """Whether anything is asked of what a visit made of a rationale."""
        return self.quality is not None or self.chosen is not None or self.active is not None

    def __str__(self) -> str:
        parts = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "quality" and value is not None:
                parts.append(f"quality={value[0]:g}..{value[1]:g}")
            elif field.name == "text" and value is not None:
                parts.append(f'text="{value}"')
            elif isinstance(value, bool):
                first, second = CHOICES[field.name]
                parts.append(f"{field.name}={first if value else second}")
            elif value is not None:
                parts.append(f"{field.name}={value}")
        return " ".join(parts)


def parse(line: str) -> Filter:
    """A filter as it is typed: `polarity=negative source=self quality<0.3 chosen flipped text="makes 12"`.

    Raises UsageError, which names the nearest term.
    """
    found: dict[str, Any] = {}
    for name, sign, value, bare in TERM.findall(line):
        if bare:
            if bare not in ("chosen", "active", "flagged", "flipped"):
                raise UsageError(f"filter: {bare!r} is not understood: {_near(bare)}")
            found[bare] = True
        else:
            if name not in TERMS:
                raise UsageError(f"filter: there is no {name!r}: {_near(name)}")
            if sign != "=" and name != "quality":
                raise UsageError(f"filter: {name} takes =, not {sign}")
            found[name] = _value(name, sign, value.strip('"'), found.get(name))
    return Filter(**found)


def quality_range(value: str) -> tuple[float, float]:
    """0.2..0.6, <0.3 or >0.7 as lowest and highest. Raises UsageError."""
    sign, number = ("=", value) if value[:1] not in "<>" or not value else (value[0], value[1:])
    low, high = _range(sign, number, None)
    return low, high


def _value(name: str, sign: str, value: str, before: Any) -> Any:
    if name == "quality":
        return _range(sign, value, before)
    if name == "text":
        return value or None
    known = CHOICES[name]
    if value not in known:
        raise UsageError(f"filter: {name}={value} is none of {', '.join(known)}")
    return value if name in ("polarity", "source") else value == known[0]


def _range(sign: str, value: str, before: tuple[float, float] | None) -> tuple[float, float]:
    try:
        if sign == "=":
            least, dots, most = value.partition("..")
            return float(least), float(most if dots else least)
        low, high = before or (0.0, 1.0)
        return (float(value), high) if sign == ">" else (low, float(value))
    except ValueError:
        raise UsageError(f"filter: quality{sign}{value}: write quality=0.2..0.6, quality<0.3 or quality>0.7") from None


def _near(word: str) -> str:
    near = get_close_matches(word.lower(), TERMS, n=1)
    return f"did you mean {near[0]}?" if near else f"terms are {', '.join(TERMS)}"


def of_questions(con: sqlite3.Connection, run_id: int, wanted: Filter) -> tuple[str, list[Any]] | None:
    """SQL of the ids of questions that the student's answers let in; None: nothing is asked of them."""
    if wanted.student is None and wanted.flipped is None:
        return None
    explained = con.execute(
        "SELECT 1 FROM predictions WHERE run_id = ? AND split = 'followed' AND head = 'explain' LIMIT 1", (run_id,)
    ).fetchone()
    head = "explain" if explained else "predict"
    last = (
        "SELECT p.correct FROM predictions p WHERE p.run_id = v.run_id AND p.split = 'followed'"
        f" AND p.example = v.example AND p.head = '{head}' ORDER BY p.step DESC LIMIT"
    )
    sql, values = "SELECT v.example FROM votes v WHERE v.run_id = ? AND v.followed", [run_id]
    if wanted.student is not None:
        sql += f" AND ({last} 1) = ?"
        values.append(wanted.student)
    if wanted.flipped is not None:
        sql += f" AND ((SELECT count(DISTINCT correct) FROM ({last} 2)) = 2) = ?"
        values.append(wanted.flipped)
    return sql, values


def of_rationales(wanted: Filter, run_id: int) -> tuple[list[str], list[Any]]:
    """Conditions on rationales `r`, last visits `l`, votes `v`, examples `x`, with their values.

    What is asked of visits is true of a rationale that its question's last visit left out, too: see LAST.
    """
    conditions: list[tuple[str, Sequence[Any]]] = []
    if wanted.polarity is not None:
        conditions.append(("r.polarity = ?", (wanted.polarity,)))
    if wanted.source is not None:
        conditions.append(("r.source = ?", (wanted.source,)))
    if wanted.quality is not None:
        conditions.append(("l.quality BETWEEN ? AND ?", wanted.quality))
    if wanted.chosen is not None:
        conditions.append(("l.chosen = ?", (wanted.chosen,)))
    if wanted.active is not None:
        conditions.append(("l.chosen = 1 AND l.active = ? AND r.polarity = 'negative'", (wanted.active,)))
    if wanted.answer is not None:
        conditions.append((f"({RIGHT}) = ?", (wanted.answer,)))
    if wanted.flagged is not None:
        flagged = (
            "EXISTS (SELECT 1 FROM rationale_notes n WHERE n.run_id = r.run_id AND n.example = r.example"
            " AND n.number IN (-1, r.number) AND n.flagged)"
        )
        some = (
            " AND r.example IN (SELECT f.example FROM rationale_notes f WHERE f.run_id = r.run_id)"
            if wanted.flagged
            else ""
        )
        conditions.append((f"{flagged} = ?{some}", (wanted.flagged,)))
    if wanted.text is not None:
        words = phrase(wanted.text)
        if words is None:
            # in the order of the texts, as they lie in the file
            held = (
                "+r.text_id IN (SELECT t.id FROM rationales o INDEXED BY rationales_text CROSS JOIN texts t"
                f" ON t.id = o.text_id WHERE o.run_id = ? AND {HOLDS})"
            )
            conditions.append((held, (run_id, *holding(wanted.text))))
        else:
            # +: all rationales are passed by, which is quicker than to look each text up where many hold the word
            conditions.append(("+r.text_id IN (SELECT rowid FROM text_words WHERE text_words MATCH ?)", (words,)))
    return [sql for sql, _ in conditions], [value for _, values in conditions for value in values]


LAST = "l.step = (SELECT max(m.step) FROM last_visits m WHERE m.run_id = l.run_id AND m.example = l.example)"
"""Of last visits `l` of rationales: those at their question's last visit. An earlier self's is older."""


def last_steps(con: sqlite3.Connection, run_id: int) -> dict[str, int]:
    """Step of the last visit of each question that was visited, by its id."""
    sql = "SELECT example, max(step) FROM last_visits WHERE run_id = ? GROUP BY example"
    return dict(con.execute(sql, (run_id,)).fetchall())


def matching_questions(
    con: sqlite3.Connection, run_id: int, places: Mapping[str, int], wanted: Filter, last: Mapping[str, int]
) -> tuple[int, ...]:
    """Places of the questions that the filter lets in, ascending; `places`: of all by id, ascending.

    `last`: `last_steps`, which is used where something is asked of visits.
    """
    found: set[str] | None = None
    conditions, values = of_rationales(wanted, run_id)
    if conditions:
        said = " AND ".join(conditions)
        both = "r.run_id = l.run_id AND r.example = l.example AND r.number = l.number"
        # rationales of visits are looked up only where something is asked of them
        one = "l" if "l." in said else "r"
        tables = "rationales r" if one == "r" else "last_visits l"
        tables += f" CROSS JOIN rationales r ON {both}" if one == "l" and "r." in said else ""
        if "x." in said:
            sql = (
                "SELECT v.example FROM votes v CROSS JOIN run_datasets d ON d.run_id = v.run_id"
                " CROSS JOIN examples x ON x.dataset_id = d.dataset_id AND x.key = v.example WHERE v.run_id = ?"
                f" AND EXISTS (SELECT 1 FROM {tables} WHERE {one}.run_id = v.run_id AND {one}.example = v.example"
                f" AND {said}{f' AND {LAST}' if one == 'l' else ''})"
            )
        elif one == "l":  # a look at the last of each found would take longer
            sql = f"SELECT l.example, max(l.step) FROM {tables} WHERE l.run_id = ? AND {said} GROUP BY l.example"
        elif len(conditions) == 1 and wanted.text is not None and phrase(wanted.text) is None:
            sql, (_, *values) = holding_questions(con, run_id, wanted.text)
        elif wanted.text is not None:  # one of a question's rationales is enough
            sql = (
                "SELECT v.example FROM votes v WHERE v.run_id = ? AND EXISTS (SELECT 1 FROM rationales r"
                f" WHERE r.run_id = v.run_id AND r.example = v.example AND {said})"
            )
        else:
            sql = f"SELECT DISTINCT r.example FROM rationales r WHERE r.run_id = ? AND {said}"
        rows = con.execute(sql, (run_id, *values)).fetchall()
        found = {row[0] for row in rows if len(row) == 1 or row[1] == last.get(row[0])}
    asked = of_questions(con, run_id, wanted)
    if asked is not None:
        answered = {row[0] for row in con.execute(*asked).fetchall()}
        found = answered if found is None else found & answered
    if found is None:
        return tuple(places.values())
    return tuple(place for key, place in places.items() if key in found)
