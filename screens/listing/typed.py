"""What is typed below the list of runs: what stands there already, what is offered, and how the list then looks."""

from dataclasses import replace
from typing import TYPE_CHECKING

from screens.listing.columns import COLUMNS
from screens.listing.run_table import layout, named_columns, settings_of
from screens.remembered.kept import RunsKept

if TYPE_CHECKING:
    from engine.store.runs.complete import Words
    from screens.widgets.prompt import Kind

HEADINGS: "dict[Kind, str]" = {"filter": "Filter", "sort": "Sort by", "group": "Group by", "columns": "Columns"}


def begun(kind: "Kind", kept: RunsKept, width: int) -> str:
    """How the list is now, in a terminal of that width."""
    if kind == "columns":
        shown = kept.columns or tuple(column.key for column, _ in layout(kept, settings_of(kept), width))
        return " ".join(shown) + " "
    return {"filter": kept.where, "sort": kept.sort, "group": " ".join(kept.groups)}[kind]


def offered(kind: "Kind", known: "Words | None") -> "Words":
    """A filter and tags know what there is in the database, the others the columns of the list and its settings."""
    from engine.store.runs.complete import Words  # the language of filters takes a while to load

    known = known or Words()
    if kind in ("filter", "tags"):
        return known
    return Words((*COLUMNS, *(key for key in known.keys if "." in key)))


def looked(kind: "Kind", text: str, kept: RunsKept, known: "Words | None") -> RunsKept:
    """How the list looks once that was typed. Raises UsageError where there is no such column."""
    if kind == "filter":
        return replace(kept, where=text)
    keys = named_columns(text.split(), offered(kind, known).keys if known else ())
    if kind == "sort":
        return resorted(kept, keys[0] if keys else "")
    return replace(kept, groups=keys) if kind == "group" else replace(kept, columns=keys)


def resorted(kept: RunsKept, key: str) -> RunsKept:
    """Sorted by that; by what it is sorted by already, the other way round."""
    return replace(kept, sort=key, ascending=not kept.ascending if key == kept.sort else False)
