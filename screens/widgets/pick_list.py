"""Rows one below the other with a cursor; only those in sight are drawn."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

Row = TypeVar("Row")


class PickList(ScrollView, Generic[Row], can_focus=True, inherit_bindings=False):
    """`key` tells rows apart, so that the cursor stays on its own; `draw` gives a row's clean line and its style."""

    class Moved(Message):
        """A click put the cursor on another row."""

    def __init__(self, key: Callable[[Row], str], draw: Callable[[Row], tuple[str, Style]], *, id: str) -> None:
        super().__init__(id=id)
        self._key, self._draw = key, draw
        self.rows: Sequence[Row] = ()
        self.cursor = 0

    def show(self, rows: Sequence[Row]) -> None:
        """These rows; the cursor keeps its row where it is still there."""
        before = None if self.row is None else self._key(self.row)
        self.rows = rows
        places = (at for at, row in enumerate(rows) if self._key(row) == before)
        self.cursor = next(places, max(0, min(self.cursor, len(rows) - 1)))
        self.virtual_size = Size(0, len(rows))
        self.refresh()

    @property
    def row(self) -> Row | None:
        """The one under the cursor."""
        return self.rows[self.cursor] if self.rows else None

    @property
    def page(self) -> int:
        """Rows in sight, but one."""
        return max(1, self.scrollable_content_region.height - 1)

    def move(self, to: int) -> None:
        """Put the cursor there and bring it into view."""
        self.cursor = max(0, min(to, len(self.rows) - 1))
        height, top = self.scrollable_content_region.height, self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif height and self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True)
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """The cursor to the row that was clicked."""
        at = event.y - self.gutter.top + self.scroll_offset.y
        if 0 <= at < len(self.rows):
            self.move(at)
            self.post_message(self.Moved())

    def render_line(self, y: int) -> Strip:
        """One row, the cursor's reversed."""
        at, width = y + self.scroll_offset.y, self.scrollable_content_region.width
        if at >= len(self.rows):
            return Strip.blank(width, self.rich_style)
        text, style = self._draw(self.rows[at])
        here = Style(reverse=True, dim=False) if at == self.cursor else Style()
        base = self.rich_style + here
        return Strip([Segment(text, base + style + here)]).adjust_cell_length(width, base)
