"""What is typed below the list of runs: what stands there already, what it can name, and how the list then looks."""

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from screens.listing.columns import COLUMNS
from screens.listing.run_table import layout, named_columns, settings_of
from screens.remembered.kept import RunsKept

if TYPE_CHECKING:
    from engine.store.runs.complete import Words

Kind = Literal["filter", "group", "sort", "columns", "tags", "note"]


def begun(kind: Kind, kept: RunsKept, width: int) -> str:
    """How the list is now, in a terminal of that width."""
    if kind == "columns":
        shown = kept.columns or tuple(column.key for column, _ in layout(kept, settings_of(kept), width))
        return " ".join(shown) + " "
    return {"filter": kept.where, "sort": kept.sort, "group": " ".join(kept.groups)}[kind]


def nameable(known: "Words") -> tuple[str, ...]:
    """What the list can be sorted and grouped by: its columns, and the settings that there are."""
    return (*COLUMNS, *(key for key in known.keys if "." in key))


def looked(kind: Kind, text: str, kept: RunsKept, known: "Words") -> RunsKept:
    """How the list looks once that was typed. Raises UsageError where there is no such column."""
    if kind == "filter":
        return replace(kept, where=text)
    keys = named_columns(text.split(), nameable(known) if known.keys else ())
    if kind == "sort":
        return resorted(kept, keys[0] if keys else "")
    return replace(kept, groups=keys) if kind == "group" else replace(kept, columns=keys)


def resorted(kept: RunsKept, key: str) -> RunsKept:
    """Sorted by that; by what it is sorted by already, the other way round."""
    return replace(kept, sort=key, ascending=not kept.ascending if key == kept.sort else False)
