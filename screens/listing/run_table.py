"""How the list of runs is laid out: its columns in the width there is, its title, what its groups are called."""

from collections.abc import Sequence
from dataclasses import replace

from engine.errors import UsageError
from engine.store.runs.fields import SETTING, SHORT, nearest
from engine.store.runs.listing import Listed, RunList
from screens.listing.columns import COLUMNS, Column, Moment, column_of, usual
from screens.remembered.kept import RunsKept
from screens.widgets.run_rows import MARKS, gap
from screens.widgets.words import count, line, three

NAME = 8
"""Cells that a name has at least."""


def layout(kept: RunsKept, settings: tuple[str, ...], width: int) -> tuple[tuple[Column, int], ...]:
    """The columns that fit, each with its width; the name has what is left."""
    keys = list(kept.columns or usual(width))
    room = width - 3 - MARKS  # the border's two cells and the scroll bar's
    while True:
        columns = [column_of(key, settings) for key in keys]
        left = room - sum((NAME if c.key == "name" else c.width) + len(gap(c)) for c in columns) + 2
        spare = [key for key in keys if key not in ("state", "name")]
        if left >= 0 or not spare:
            return tuple((c, NAME + max(0, left) if c.key == "name" else c.width) for c in columns)
        keys.remove(spare[-1])


def title(runs: RunList, kept: RunsKept, columns: tuple[tuple[Column, int], ...], chosen: int) -> str:
    """How many of how many, and by what they are filtered, grouped and sorted."""
    shown = count(runs.found)
    parts = [f"Runs · {shown}" if runs.found == runs.total else f"Runs · {shown} of {count(runs.total)}"]
    parts += [f"◆ {count(chosen)} chosen"] if chosen else []
    parts += [f"/ {line(kept.where, 60)}"] if kept.where else []
    parts += [f"{count(runs.away)} archived"] if runs.away else []
    parts += [f"by {line(', '.join(kept.groups), 40)}"] if kept.groups else []
    if kept.sort and all(c.key != kept.sort for c, _ in columns):
        parts.append(f"sorted by {line(kept.sort, 40)} {'▲' if kept.ascending else '▼'}")
    dropped = len(kept.columns) - len(columns)
    parts += [f"{dropped} columns do not fit"] if dropped > 0 else []
    parts += ["v: on validation"] if any(one.run.accuracy_split == "validation" for one in runs.runs) else []
    return " · ".join(parts)


def known(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Those that can be columns, by the names they have here."""
    return tuple(SHORT.get(key.lower(), key) for key in keys if SETTING.fullmatch(key))


def settings_of(kept: RunsKept) -> tuple[str, ...]:
    """The settings that columns, groups and the sort need."""
    keys = (*kept.columns, *kept.groups, kept.sort)
    return tuple(dict.fromkeys(key for key in keys if key and key not in COLUMNS))


def readable(kept: RunsKept) -> RunsKept:
    """Without what can be no column: the file it comes from can be written by hand."""
    sort = " ".join(known((kept.sort,)))
    return replace(kept, columns=known(kept.columns), groups=known(kept.groups), sort=sort)


def named_columns(typed: Sequence[str], offered: Sequence[str]) -> tuple[str, ...]:
    """The columns and settings that were typed; `offered`: those there are, none: not known yet. Raises UsageError."""
    for key in typed:
        if offered and SHORT.get(key.lower(), key) not in offered:
            near = nearest(key, offered)
            hint = f": did you mean {near}?" if near else ""
            raise UsageError(f"there is no column {line(key, 40)!r}{hint}")
    return known(tuple(typed))


def group_name(one: Listed, column: Column, moment: Moment) -> str:
    """What a run's group is called."""
    value = column.value(one, moment)
    if isinstance(value, str):
        return line(value, 80)
    return "" if value is None else f"{column.title} {three(float(value))}"


def fitting(text: str, width: int) -> str:
    """As many of the hints as fit."""
    found = ""
    for hint in text.split("  "):
        longer = f"{found}  {hint}" if found else hint
        if len(longer) > width:
            break
        found = longer
    return found
