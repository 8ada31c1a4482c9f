"""A pane of rationales of one polarity, drawn at the width there is: of however many rows, those in sight."""

from textual import events
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from engine.store.rationales.questions import Candidate
from screens.widgets.pair import Drawing, layout
from screens.widgets.strips import selected, strip


class Pane(ScrollView):
    """One side: rationales of one polarity, drawn at the width there is."""

    ALLOW_MAXIMIZE = True

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._drawn: tuple[object, ...] = ()
        self.candidates: tuple[Candidate, ...] = ()
        self.aside: tuple[Candidate, ...] = ()
        self.drawing = Drawing()
        self._starts: dict[int, int] = {}
        self._rows: list[Content] = []

    def draw(self) -> None:
        """Lay the text out, unless it is as it was."""
        width = self.scrollable_content_region.width
        wanted = (self.candidates, self.aside, self.drawing, width)
        if width and wanted != self._drawn:
            self._drawn = wanted
            laid = layout(self.candidates, width, self.drawing, self.aside)
            self._starts = dict(laid.starts)
            self._rows = laid.content.split(allow_blank=True)
            wide = width if self.drawing.wrap else max(row.cell_length for row in self._rows)
            self.virtual_size = Size(wide, len(self._rows))
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """A row of the text."""
        left, top = self.scroll_offset
        width, at = self.scrollable_content_region.width, top + y
        if at >= len(self._rows):
            return Strip([], 0)
        row, selection = self._rows[at], self.text_selection
        if selection is not None:
            row = selected(self, row, at, selection)
        return strip(row, width, self.visual_style, left, at)

    def get_selection(self, selection: Selection) -> tuple[str, str]:
        """The text that is selected, and what comes behind it."""
        return selection.extract("\n".join(row.plain for row in self._rows)), "\n"

    def on_click(self, event: events.Click) -> None:
        """The rationale that was clicked."""
        line = event.screen_y - self.region.y - self.gutter.top + self.scroll_offset.y
        above = [(start, number) for number, start in self._starts.items() if start <= line]
        if above:
            self.post_message(Picked(max(above)[1]))

    def go_to(self, number: int) -> None:
        """Bring the beginning of a rationale into view."""
        self.scroll_to(y=max(0, self._starts.get(number, 0)), animate=False)

    def on_resize(self, event: events.Resize) -> None:
        """Another width, other lines."""
        self.draw()


class Picked(Message):
    """A rationale was clicked."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
