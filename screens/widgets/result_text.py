"""What the SQL screen tells of the catalog, of a result and of a value: pure functions."""

from typing import Any

from textual.content import Content

from engine.store.guarded import Result
from engine.store.schema.catalog import Catalog
from screens.widgets.words import count, line, paragraph

VALUE_LENGTH = 20_000
"""Characters of the value under the cursor that are shown."""


def catalog_text(catalog: Catalog) -> Content:
    """Tables and views with their columns."""
    parts = []
    for table in catalog.tables:
        parts.append(Content.assemble((line(table.name, 60), "bold"), (f"  {table.kind}", "dim")))
        parts.append(Content.styled("  " + ", ".join(line(column, 60) for column in table.columns), "dim"))
    return Content("\n").join(parts)


def told(found: Result) -> str:
    """How many of how many, and how long it took: `500 of >500 rows · 12 ms`."""
    rows = count(len(found.rows))
    of = f"{rows} of >{rows} rows" if found.truncated else f"{rows} row{'' if len(found.rows) == 1 else 's'}"
    took = f"{found.seconds * 1000:.0f} ms" if found.seconds < 1 else f"{found.seconds:.1f} s"
    return f"{of} · {took}"


def kind_of(value: Any) -> str:
    """What a value is, as SQLite says it."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return f"text, {count(len(value))} characters"
    if isinstance(value, bytes):
        return f"blob, {count(len(value))} bytes"
    return "integer" if isinstance(value, int) else "real"


def value_text(value: Any) -> Content:
    """The whole of a value, cleaned; an empty text is not NULL."""
    if value is None:
        return Content.styled("NULL", "dim italic")
    if isinstance(value, bytes):
        return Content(f"x'{value[: VALUE_LENGTH // 2].hex()}'" + ("…" if len(value) > VALUE_LENGTH // 2 else ""))
    if not isinstance(value, str):
        return Content(repr(value))
    return Content(paragraph(value, VALUE_LENGTH)) if value.strip() else Content.styled("(empty or blank text)", "dim")
