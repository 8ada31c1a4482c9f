"""A scrolling pane between borders, which asks Textual for nothing twice that looks as it did.

Textual asks for border, padding and filters again at each line of each frame, and gives every part of a line a style of
its own that says where it lies, so that no style is found in any cache. Here what surrounds the rows is asked for once
as long as it looks the same; where a text lies is said when the mouse asks (`render_line`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, zip_longest

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from screens.widgets.row import Row
from screens.widgets.slim_bar import SlimBar
from screens.widgets.strips import selected, strip, veiled


@dataclass(frozen=True, slots=True)
class _Frame:
    """What surrounds the rows, and what was painted while it was so."""

    look: tuple[object, ...]
    """All that it depends on."""
    width: int
    left: tuple[Segment, ...]
    right: tuple[Segment, ...]
    blank: Style | None
    styles: dict[str, Style | None] = field(default_factory=dict)
    """How a row's styles are painted, filters and all."""
    painted: dict[int, Strip] = field(default_factory=dict)
    """Rows by their numbers."""


class Framed(ScrollView):
    """Rows of text; `put` gives it others."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.rows: Sequence[Row] = ()
        self._frame: _Frame | None = None

    @property
    def vertical_scrollbar(self) -> ScrollBar:
        """One that is cheap to paint."""
        if self._vertical_scrollbar is None:
            self._vertical_scrollbar = bar = SlimBar(thickness=self.scrollbar_size_vertical)
            bar.display = False
            self.app._start_widget(self, bar)
        return self._vertical_scrollbar

    def put(self, rows: Sequence[Row], width: int) -> None:
        """Show these, the longest of so many cells: what is in sight and is as it was is not painted again."""
        before, self.rows, offset = self.rows, rows, self.scroll_offset
        if self._frame is not None:
            self._frame.painted.clear()
        size = Size(width, len(rows))
        if size != self.virtual_size:
            # as a layout would, which Textual asks for whenever this changes; one comes where a bar comes or goes
            self.set_reactive(Widget.virtual_size, size)
            self._scroll_update(size)
        if self.scroll_offset != offset:  # painted whole anyhow
            return
        room, top = self.size, offset.y
        old, new = before[top : top + room.height], rows[top : top + room.height]
        changed = [one != other for one, other in zip_longest(old, new)]
        regions, y = [], 0
        for is_new, lines in groupby(changed):
            count = len(list(lines))
            regions += [Region(0, y, room.width, count)] if is_new else []
            y += count
        if regions:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        """A row, each part of which says where it lies: what Textual asks for under the mouse, or while it selects."""
        left, top = self.scroll_offset
        at = top + y
        if at >= len(self.rows):
            return Strip([], 0)
        row, selection = self.rows[at].content, self.text_selection
        if selection is not None:
            row = selected(self, row, at, selection)
        return strip(row, self.scrollable_content_region.width, self.visual_style, left, at)

    def render_lines(self, crop: Region) -> list[Strip]:
        """The rows between their borders."""
        if self.text_selection is not None or veiled(self):
            return super().render_lines(crop)
        width, height = self.outer_size
        gutter, seen = self.styles.gutter, self.scrollable_content_region.width
        left, top = self.scroll_offset
        frame = self._framed(width, left, seen)
        strips = []
        for y in crop.line_range:
            if gutter.top <= y < height - gutter.bottom:
                at = min(top + y - gutter.top, len(self.rows))  # all that are behind the last look alike
                if at not in frame.painted:
                    frame.painted[at] = self._painted(frame, at, left, seen, width - gutter.width)
                strips.append(frame.painted[at])
            else:
                strips += super().render_lines(Region(0, y, width, 1))
        x1, x2 = crop.column_span
        return strips if (x1, x2) == (0, width) else [one.crop(x1, x2) for one in strips]

    def _framed(self, width: int, left: int, seen: int) -> _Frame:
        styles, filters = self.styles, tuple(self.get_line_filters())
        look = (
            self.outer_size,
            left,
            seen,
            self.visual_style,
            self.background_colors,
            styles.border,
            styles.gutter,
            self.app.theme,
            filters,
        )
        frame = self._frame
        if frame is None or frame.look != look:
            # a row as Textual draws it begins and ends as all do
            sample = super().render_lines(Region(0, styles.gutter.top, width, 1))[0]
            ends = (sample.crop(0, styles.gutter.left), sample.crop(width - styles.gutter.right))
            before, behind = (tuple(part for part in end if part.text) for end in ends)
            blank = Strip.blank(1, self.visual_style.background_style.rich_style)
            for one in filters:
                blank = blank.apply_filter(one, self.background_colors[1])
            self._frame = frame = _Frame(look, width, before, behind, next(iter(blank)).style)
        return frame

    def _painted(self, frame: _Frame, at: int, left: int, seen: int, room: int) -> Strip:
        """A row from its cell `left` on, `seen` cells of it, in the `room` between the borders."""
        parts = self._parts(frame, self.rows[at]) if at < len(self.rows) else []
        used = sum(cell_len(part.text) for part in parts)
        if left or used > seen:
            parts = list(Strip(parts, used).crop(left, left + seen))
            used = sum(cell_len(part.text) for part in parts)
        parts = [*frame.left, *parts, Segment(" " * (room - used), frame.blank), *frame.right]
        return Strip(parts, frame.width)

    def _parts(self, frame: _Frame, row: Row) -> list[Segment]:
        parts, at = [], 0
        for start, end, style in row.styles:
            if start > at:
                parts.append(Segment(row.text[at:start], self._style(frame, "")))
            parts.append(Segment(row.text[start:end], self._style(frame, style)))
            at = end
        if at < len(row.text) or not parts:
            parts.append(Segment(row.text[at:], self._style(frame, "")))
        return parts

    def _style(self, frame: _Frame, name: str) -> Style | None:
        if name not in frame.styles:
            shown = strip(Content.styled("x", name) if name else Content("x"), 1, self.visual_style)
            for one in self.get_line_filters():
                shown = shown.apply_filter(one, self.background_colors[1])
            frame.styles[name] = next(iter(shown)).style
        return frame.styles[name]

    def get_selection(self, selection: Selection) -> tuple[str, str]:
        """The text that is selected, and what comes behind it."""
        return selection.extract("\n".join(row.text for row in self.rows)), "\n"
