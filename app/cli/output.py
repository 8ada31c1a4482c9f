"""Rows to stdout: as JSON, JSON lines, CSV, or a table for a person.

What a model wrote is hostile to a terminal: JSON escapes it, CSV and tables are cleaned, and rich never sees a string
that it could take for markup.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from app.cli.options import Format
from engine.exchange.results import plain, write_csv
from engine.store.runs.browse import Accuracy
from engine.text import clean
from screens.widgets.words import UNKNOWN, accuracy

if TYPE_CHECKING:
    from rich.console import Console

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table for people."""

    title: str
    value: Callable[[Row], str]
    """The cell's text, not yet cleaned."""
    right: bool = False
    keep: bool = False
    """Stays where the terminal is narrow; others of such a table go, the last first."""
    fold: bool = False
    """Long texts: broken over lines; others are never broken."""


def write_rows(
    rows: Sequence[Row],
    form: Format,
    columns: Sequence[Column],
    empty: str = "nothing to show",
    header: Sequence[str] = (),
) -> None:
    """The rows on stdout; `columns` shape the table alone. An empty table says `empty` on stderr.

    `header`: the CSV's, where there are no rows to take it from.
    """
    if form == "json":
        print(json.dumps([plain(row) for row in rows], indent=2))
    elif form == "jsonl":
        for row in rows:
            print(json.dumps(plain(row)))
    elif form == "csv":
        write_csv(rows, sys.stdout, header)
    elif rows:
        write_table(rows, columns)
    else:
        print(empty, file=sys.stderr)


def write_table(rows: Iterable[Row], columns: Sequence[Column]) -> None:
    """A table for a person on stdout."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    rows = list(rows)
    screen = console()
    columns = fitting(columns, rows, screen.width)
    for column in columns:
        fold = {"overflow": "fold", "ratio": 1} if column.fold else {"overflow": "ellipsis", "no_wrap": True}
        table.add_column(Text(column.title), justify="right" if column.right else "left", **fold)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text(clean(column.value(row))) for column in columns))
    screen.print(table)


def fitting(columns: Sequence[Column], rows: Sequence[Row], width: int) -> list[Column]:
    """Without the last columns that are not to be kept, until the others fit; all where none is to be kept."""
    found = list(columns)
    widths = {c.title: max(len(text) for text in (c.title, *(clean(c.value(row)) for row in rows))) for c in columns}
    while any(c.keep for c in found) and sum(widths[c.title] + 2 for c in found) - 2 > width:
        spare = [c for c in found if not c.keep]
        if not spare:
            break
        found.remove(spare[-1])
    return found


def console(file: IO[str] | None = None) -> "Console":
    """A rich console that takes no text for markup; where no terminal is, lines are as long as they need to be."""
    from rich.console import Console

    file = file or sys.stdout
    width = None if file.isatty() else 1000
    return Console(file=file, markup=False, highlight=False, emoji=False, soft_wrap=False, width=width)


def share(value: float | None, low: float | None, high: float | None) -> str:
    """A share with its 95 % interval, e.g. `0.64 ±0.03`; unknown is a dash."""
    if value is None or low is None or high is None:
        return UNKNOWN
    return accuracy(Accuracy(value, low, high))
