"""What can stand at the end of a filter that is being typed: keys, then signs, then values that runs have."""

import re
import sqlite3
from dataclasses import dataclass

from engine.store.runs.fields import FIELDS, SHORT, STATES, read_settings
from engine.store.runs.where import quoted

END = re.compile(r'(?:^|(?<=\s))(?P<key>[A-Za-z_][\w.-]*)?(?P<op>!=|<=|>=|[=<>~:])?(?P<value>"?[^\s"]*)$', re.ASCII)
VALUES = 200
"""So many values of a key are kept."""


@dataclass(frozen=True, slots=True)
class Words:
    """Keys that runs have, the field names first, and values by key."""

    keys: tuple[str, ...] = ()
    values: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def of(self, key: str) -> tuple[str, ...]:
        """The values of a key, commonest first."""
        low = SHORT.get(key.lower(), key.lower())
        return next((values for name, values in self.values if name in (key, low)), ())


def read_words(con: sqlite3.Connection) -> Words:
    """What the runs of the file can be filtered by."""
    settings = read_settings(con)
    values: dict[str, tuple[str, ...]] = {"state": STATES, "star": ("yes", "no"), "archived": ("yes", "no")}
    for column in ("method", "dataset", "teacher", "student", "name"):
        sql = (
            f"SELECT substr({column}, 1, 200) FROM runs GROUP BY 1 ORDER BY count(*) DESC, max(id) DESC LIMIT {VALUES}"
        )
        values[column] = tuple(row[0] for row in con.execute(sql).fetchall() if row[0])
    values["tag"] = tuple(
        row[0]
        for row in con.execute(
            f"SELECT tag FROM run_tags GROUP BY tag ORDER BY count(*) DESC LIMIT {VALUES}"
        ).fetchall()
    )
    keys = (*FIELDS, *(key for key in settings if key not in FIELDS))
    return Words(keys, tuple((values | {k: v for k, v in settings.items() if k not in values}).items()))


def complete(text: str, words: Words) -> tuple[str, ...]:
    """The texts that `text` may become, likeliest first: its last word made whole, with what follows it."""
    found = END.search(text)
    if found is None:
        return ()
    before, key, op, value = text[: found.start()], found["key"] or "", found["op"], found["value"]
    if op:
        typed = value.lstrip('"').lower()
        known = [v for v in words.of(key) if v.lower().startswith(typed)]
        known += [v for v in words.of(key) if typed in v.lower() and v not in known]
        return tuple(f"{before}{key}{op}{quoted(v)} " for v in known if v.lower() != typed)
    if value or not key:
        return ()
    return tuple(before + k for k in matching(key, words.keys))


def matching(typed: str, keys: tuple[str, ...]) -> tuple[str, ...]:
    """The keys that what was typed can stand for: begun so, with a part begun so, or holding it; in this order."""
    low = typed.lower()
    begins = [k for k in keys if k.lower().startswith(low)]
    parts = [k for k in keys if any(part.startswith(low) for part in k.lower().split("."))]
    holds = [k for k in keys if low in k.lower()]
    return tuple(k for k in dict.fromkeys((*begins, *parts, *holds)) if k.lower() != low)
