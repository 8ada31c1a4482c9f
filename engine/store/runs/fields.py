"""What a filter, a sort or a column can name of a run: the columns of `run_summary`, short names, marks, any setting.

Each is an SQL expression over `SOURCE`; `:now` is the caller's clock, seconds since 1970.
"""

import difflib
import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from engine.errors import UsageError
from engine.store.schema.views import STALE_AFTER

Kind = Literal["text", "number", "time", "duration", "flag", "state", "tag", "setting"]
SOURCE = "runs r JOIN run_summary s ON s.id = r.id"
STATES = ("queued", "running", "paused", "stale", "interrupted", "failed", "done")
STATUS = (
    "CASE WHEN r.status IN ('running', 'paused') AND coalesce(r.heartbeat_at, r.started_at, r.created_at) < :now"
    f" - {STALE_AFTER} THEN 'stale' ELSE r.status END"
)
"""As in `run_summary`, by the caller's clock instead of SQLite's."""
COST = (
    "coalesce((SELECT f.value FROM facts f WHERE f.run_id = r.id AND f.stage = 'sample' AND f.name = 'price in USD'),"
    " (SELECT sum(p.price_usd) FROM attempts a JOIN responses p ON p.attempt_id = a.id WHERE a.run_id = r.id))"
)
"""Dollars that the run paid its teachers: what its sampling has noted, else what has come back so far."""


@dataclass(frozen=True, slots=True)
class Field:
    """Something that every run has or could have."""

    name: str
    kind: Kind
    sql: str
    """Null where it is not known."""
    path: str = ""
    """Of a setting: its place in the spec, as SQLite's JSON functions take it."""


@dataclass(frozen=True, slots=True)
class Where:
    """A filter ready to be asked."""

    sql: str
    """A condition over SOURCE, "1" for no filter; needs `parameters` and :now."""
    parameters: dict[str, str | float]
    ages: bool
    """What it lets through changes by the clock alone."""
    archived: bool
    """It says itself which archived runs are meant."""


def _of(kind: Kind, *names: str) -> dict[str, Field]:
    return {name: Field(name, kind, f"s.{name}") for name in names}


FIELDS: dict[str, Field] = {
    **_of("number", "id"),
    **_of("text", "name"),
    "state": Field("state", "state", STATUS),
    **_of("text", "method", "dataset", "teacher", "student"),
    **_of("number", "seed", "step", "steps", "iteration", "iterations"),
    "explain": Field("explain", "number", "s.explain_accuracy"),
    "predict": Field("predict", "number", "s.predict_accuracy"),
    **{
        f"{head}_accuracy{end}": Field(f"{head}_accuracy{end}", "number", f"s.{head}_accuracy{end}")
        for head in ("predict", "explain")
        for end in ("", "_low", "_high")
    },
    **_of("text", "accuracy_split"),
    "cost": Field("cost", "number", COST),
    "age": Field("age", "duration", ":now - coalesce(r.started_at, r.created_at)"),
    **_of("duration", "seconds"),
    **_of("time", "created_at", "started_at", "ended_at", "heartbeat_at"),
    **_of("text", "error", "folder"),
    **_of("number", "group_id"),
    "tag": Field("tag", "tag", "s.tags"),
    **_of("text", "note"),
    **_of("flag", "star", "archived"),
}
"""By name; "explain" and "state" are what the screens call explain_accuracy and status."""
SHORT = {"acc": "explain", "status": "state", "group": "group_id", "tags": "tag", "starred": "star", "time": "seconds"}
"""Other names of these."""
SETTING = re.compile(r"[a-z_][\w-]*(\.[\w-]+)*", re.ASCII | re.IGNORECASE)
"""A key of the spec, dots between sections."""
RECENT = 200
"""So many of the newest runs are asked which settings there are."""


def find_field(con: sqlite3.Connection, name: str) -> Field:
    """The field of that name. Raises UsageError, with the nearest name, where no run has any such thing."""
    low = name.lower()
    known = FIELDS.get(SHORT.get(low, low))
    if known is not None:
        return known
    path = json_path(name)
    if (
        SETTING.fullmatch(name)
        and path
        and con.execute("SELECT 1 FROM runs WHERE json_type(spec, ?) NOT IN ('object') LIMIT 1", (path,)).fetchone()
    ):
        return Field(name, "setting", f"json_extract(r.spec, '{path}')", path)
    near = nearest(name, (*FIELDS, *SHORT, *read_settings(con)))
    hint = f"did you mean {near}?" if near else "try name, method, state, acc, age, or a setting such as method.name"
    raise UsageError(f"no run has a {name!r}: {hint}")


def json_path(name: str) -> str:
    """`method.loss.beta` as SQLite's JSON functions take it; "" for what is no key."""
    return "$" + "".join(f'."{part}"' for part in name.split(".")) if SETTING.fullmatch(name) else ""


def read_settings(con: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    """The settings that the newest runs have, by dotted key, each with the values it takes there, commonest first."""
    rows = con.execute(
        "SELECT substr(t.fullkey, 3),"
        " CASE t.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE t.atom END, count(*)"
        f" FROM (SELECT spec FROM runs ORDER BY id DESC LIMIT {RECENT}) r, json_tree(r.spec) t"
        " WHERE t.type NOT IN ('object', 'array') AND t.fullkey NOT LIKE '%[%' GROUP BY 1, 2 ORDER BY 1, 3 DESC"
    ).fetchall()
    found: dict[str, list[str]] = {}
    for path, value, _ in rows:
        key = str(path).replace('"', "")
        if SETTING.fullmatch(key):
            found.setdefault(key, [])
            if value is not None:
                found[key].append(str(value)[:100])
    return {key: tuple(values) for key, values in found.items()}


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    names = list(known)
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    if near:
        return near[0]
    return next((n for n in names if n.rpartition(".")[2] == name.rpartition(".")[2].lower()), None)
