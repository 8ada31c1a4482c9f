"""A pane with curves in it."""

from textual import events
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from screens.widgets.plot import EMPTY, PLAIN, Lens, Line, at_cursor, extent, render
from screens.widgets.strips import strip
from screens.widgets.words import three, two


class Chart(Widget):
    """A pane with curves; its border's title is the legend."""

    ALLOW_SELECT = False  # else each dot gets a style of its own, that says where it stands
    DEFAULT_CSS = """
    Chart { border: round $foreground 35%; border-title-color: $foreground; padding: 0 1; height: 1fr; width: 1fr; }
    """

    def __init__(self, title: str, *, id: str, bounds: tuple[float, float] | None = None) -> None:
        super().__init__(id=id)
        self._title = title
        self._bounds = bounds
        self._lines: tuple[Line, ...] = ()
        self._lens = PLAIN
        self._rows: list[Content] = []
        self._drawn: Size | None = None
        """The rows are of that size; None: of what was shown before."""
        self.border_title = self._legend()

    def show(self, lines: tuple[Line, ...], lens: Lens = PLAIN, title: str | None = None) -> None:
        """Draw these, under another title where one is given; nothing is done where nothing changed."""
        title = title or self._title
        if (lines, lens, title) == (self._lines, self._lens, self._title):
            return
        self._lines, self._lens, self._title, self._drawn = lines, lens, title, None
        self.border_title = self._legend()
        self.refresh()

    def on_resize(self) -> None:
        """Another width, another legend."""
        self.border_title = self._legend()

    def _legend(self) -> Content:
        """Title, names and last values; where there is no room less of the names, the title and the digits."""
        lines = [line for line in self._lines if line.letter and line.curve is not None and line.curve.values]
        short = self._title.split(" ")[0]
        names = ((self._title, True, False), (self._title, False, False), (short, False, False), (short, False, True))
        for title, named, brief in names:
            parts = [Content.styled(title, "bold")]
            for line in lines:
                last = at_cursor(line.curve, self._lens) if line.curve else None
                mark = f"{line.letter} " if len(lines) > 1 else ""
                name = f"{line.name} " if line.name and (named or not mark) else ""
                value = (line.legend if self._lens.cursor is None else "") or (
                    two(last) if brief and abs(last or 0) < 100 else three(last)
                )
                value = value.partition(" ±")[0] if brief else value
                parts.append(Content.styled(f"{mark}{name}{value}", line.style))
            legend = Content("  " if named else " ").join(parts)
            if legend.cell_length <= self.size.width - 2:
                break
        return legend

    def render_line(self, y: int) -> Strip:
        """A row of the chart at the present size."""
        size = self.size
        if size != self._drawn:
            self._drawn = size
            self._rows = self._render_rows(size)
        if y >= len(self._rows):
            return Strip.blank(size.width, self.rich_style)
        return strip(self._rows[y], size.width, self.visual_style)

    def _render_rows(self, size: Size) -> list[Content]:
        if not any(line.curve for line in self._lines):
            return [EMPTY]
        return render(self._lines, size.width, size.height, self._lens, self._bounds)

    def on_click(self, event: events.Click) -> None:
        """The values there."""
        inside = event.x - self.gutter.left
        first, last = self._lens.window or extent(self._lines, self._lens.across)
        if 0 <= inside < self.size.width and last > first:
            self.post_message(Pointed(first + (last - first) * inside / max(1, self.size.width - 1)))


class Pointed(Message):
    """Someone clicked on a chart, at that place of its horizontal axis."""

    def __init__(self, place: float) -> None:
        super().__init__()
        self.place = place
