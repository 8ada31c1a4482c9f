"""A virtual table: immutable rows, of which those in sight are drawn. Its header stays; one cell has the cursor."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.text import one_line

MEASURED = 200
"""Rows, spread over all, that a column's width is taken from."""
WIDEST = 200
"""Cells of a column, however much room there is."""
NARROWEST = 24
"""Cells down to which wide columns give way before the table scrolls sideways."""
GAP = "  "


@dataclass(frozen=True, slots=True)
class GridColumn:
    """A column: its title, its width in cells, and on which side its values stand."""

    title: str
    width: int
    right: bool = False


def columns_of(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> tuple[GridColumn, ...]:
    """Columns as wide as a sample of the rows needs; numbers stand on the right."""
    found = []
    sample = [*rows[:: len(rows) // MEASURED + 1], *rows[-1:]]
    for at, name in enumerate(names):
        values = [row[at] for row in sample]
        title = one_line(name, WIDEST)
        width = max((cell_len(cell(value, WIDEST)) for value in values), default=0)
        right = any(v is not None for v in values) and all(isinstance(v, int | float) or v is None for v in values)
        found.append(GridColumn(title, max(1, width, cell_len(title)), right))
    return tuple(found)


def fit(columns: Sequence[GridColumn], room: int) -> tuple[GridColumn, ...]:
    """The widest columns made narrower, as far as they may be, until all fit into `room` cells."""
    widths = [column.width for column in columns]
    spare = room - len(GAP) * max(0, len(columns) - 1)
    cap = max(widths, default=0)
    while cap > NARROWEST and sum(min(width, cap) for width in widths) > spare:
        cap -= 1
    return tuple(replace(column, width=min(column.width, cap)) for column in columns)


def cell(value: Any, width: int) -> str:
    """A value as one line of at most `width` cells: numbers with all their digits, bytes as SQL writes them."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return one_line(f"x'{value[:width].hex()}'", width)
    return one_line(value if isinstance(value, str) else repr(value), width)


def ordered(rows: Sequence[Sequence[Any]], column: int, *, down: bool) -> list[Sequence[Any]]:
    """The rows by that column, as SQLite orders values: numbers, texts, blobs; NULL is last whichever way."""

    def place(row: Sequence[Any]) -> tuple[int, Any]:
        value = row[column]
        return (isinstance(value, str) + 2 * isinstance(value, bytes), value)

    known = sorted((row for row in rows if row[column] is not None), key=place, reverse=down)
    return known + [row for row in rows if row[column] is None]


class Grid(ScrollView, can_focus=True, inherit_bindings=False):
    """A table of values; `show` gives it others, `move` the cursor. Its keys are those of the screen."""

    class Moved(Message):
        """The cursor is on another cell."""

        def __init__(self, grid: "Grid") -> None:
            super().__init__()
            self.grid = grid

        @property
        def control(self) -> "Grid":
            """Which grid it is of."""
            return self.grid

    class Titled(Message):
        """A column's title was clicked."""

        def __init__(self, column: int) -> None:
            super().__init__()
            self.column = column

    COMPONENT_CLASSES = {"grid--header", "grid--row", "grid--cell", "grid--null"}  # noqa: RUF012
    DEFAULT_CSS = """
    Grid { height: 1fr; background: transparent; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1; }
    Grid .grid--header { text-style: bold; color: $foreground; }
    Grid .grid--row { background: $foreground 8%; }
    Grid .grid--null { text-style: dim italic; }
    Grid .grid--cell { background: $foreground 15%; }
    Grid:focus .grid--row { background: $foreground 15%; }
    Grid:focus .grid--cell { text-style: reverse; }
    """

    def __init__(self, *, id: str, cell_cursor: bool = True) -> None:
        super().__init__(id=id)
        self._natural: tuple[GridColumn, ...] = ()
        self._columns: tuple[GridColumn, ...] = ()
        self._starts: list[int] = []
        self._cell_cursor = cell_cursor
        self.rows: Sequence[Sequence[Any]] = ()
        self.row = 0
        self.column = 0

    def show(self, columns: Sequence[GridColumn], rows: Sequence[Sequence[Any]], row: int = 0) -> None:
        """Other rows; the cursor goes to `row`."""
        self.rows, self._natural = rows, tuple(columns)
        self._lay_out()
        self.column = min(self.column, max(0, len(columns) - 1)) if self._cell_cursor else 0
        self.row = max(0, min(row, len(rows) - 1))
        self._follow()
        self.refresh()

    @property
    def value(self) -> Any:
        """What is under the cursor; None where there is nothing."""
        return self.rows[self.row][self.column] if self.rows and self._columns else None

    @property
    def page(self) -> int:
        """Rows in sight."""
        return max(1, self.scrollable_content_region.height - 1)

    def move(self, row: int, column: int | None = None) -> None:
        """The cursor to this cell, or to the nearest there is."""
        before = (self.row, self.column)
        self.row = max(0, min(row, len(self.rows) - 1))
        if column is not None and self._cell_cursor:
            self.column = max(0, min(column, len(self._columns) - 1))
        if (self.row, self.column) != before:
            self._follow()
            self.refresh()
            self.post_message(self.Moved(self))

    def on_resize(self) -> None:
        """Another width, other columns."""
        self._lay_out()
        self._follow()

    def on_click(self, event: events.Click) -> None:
        """The cursor to the cell that was clicked."""
        y = event.y - 1 + int(self.scroll_y)
        x = event.x + int(self.scroll_x)
        column = max(0, sum(start <= x for start in self._starts) - 1)
        if not event.y and self._columns:
            self.post_message(self.Titled(column))
        elif event.y and y < len(self.rows):
            self.move(y, column)

    def _lay_out(self) -> None:
        self._columns = fit(self._natural, self.scrollable_content_region.width or self.size.width)
        ends = list(accumulate(column.width + len(GAP) for column in self._columns))
        self._starts = [0, *ends[:-1]]
        self.virtual_size = Size(ends[-1] - len(GAP) if ends else 0, len(self.rows) + 1)

    def _follow(self) -> None:
        """Scroll until the cursor is in sight."""
        if not self._columns or not self.scrollable_content_region:
            return
        top, left = int(self.scroll_y), int(self.scroll_x)
        top = min(max(top, self.row - self.page + 1), self.row)
        if self._cell_cursor:
            start, room = self._starts[self.column], self.scrollable_content_region.width
            left = min(max(left, start + self._columns[self.column].width - room), start)
        self.scroll_to(left, top, animate=False, force=True, immediate=True)

    def render_line(self, y: int) -> Strip:
        """The header, or a row in sight."""
        width = self.size.width
        at = y - 1 + int(self.scroll_y)
        base = self.rich_style
        if (y and at >= len(self.rows)) or not self._columns:
            return Strip.blank(width, base)
        if y == 0:
            style = base + self.get_component_rich_style("grid--header", partial=True)
            segments = self._segments([column.title for column in self._columns], style)
        else:
            segments = self._row(at, base)
        left = int(self.scroll_x)
        return Strip(segments).extend_cell_length(left + width, segments[-1].style).crop(left, left + width)

    def _row(self, at: int, base: Style) -> list[Segment]:
        row = self.rows[at]
        here = at == self.row
        if here:
            base += self.get_component_rich_style("grid--row")  # whole: a part has no shares of a colour
        null = self.get_component_rich_style("grid--null", partial=True)
        texts = [cell(value, column.width) for value, column in zip(row, self._columns, strict=True)]
        styles = [base + null if value is None else base for value in row]
        if here and self._cell_cursor:
            styles[self.column] += self.get_component_rich_style("grid--cell")
        return self._segments(texts, base, styles)

    def _segments(self, texts: Sequence[str], base: Style, styles: Sequence[Style] = ()) -> list[Segment]:
        segments = []
        for at, (text, column) in enumerate(zip(texts, self._columns, strict=True)):
            if at:
                segments.append(Segment(GAP, base))
            # a title may be wider than its column; rich's measure of a text need not be ours
            shown = one_line(text, column.width) if cell_len(text) > column.width else text
            left = " " * (column.width - cell_len(shown)) if column.right else ""
            segments.append(Segment(set_cell_size(left + shown, column.width), styles[at] if styles else base))
        return segments
