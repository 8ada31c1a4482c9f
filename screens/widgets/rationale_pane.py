"""A pane of rationales of one polarity, drawn at the width there is: of however many rows, those in sight."""

from rich.cells import cell_len
from textual import events
from textual.message import Message

from engine.store.rationales.questions import Candidate
from screens.widgets.framed import Framed
from screens.widgets.pair import Drawing, layout


class Pane(Framed):
    """One side: rationales of one polarity, drawn at the width there is."""

    ALLOW_MAXIMIZE = True

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._drawn: tuple[object, ...] = ()
        self.candidates: tuple[Candidate, ...] = ()
        self.aside: tuple[Candidate, ...] = ()
        self.drawing = Drawing()
        self._starts: dict[int, int] = {}

    def draw(self) -> None:
        """Lay the text out, unless it is as it was."""
        width = self.scrollable_content_region.width
        wanted = (self.candidates, self.aside, self.drawing, width)
        if width and wanted != self._drawn:
            self._drawn = wanted
            laid = layout(self.candidates, width, self.drawing, self.aside)
            self._starts = dict(laid.starts)
            self.put(laid.rows, width if self.drawing.wrap else max(cell_len(row.text) for row in laid.rows))

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
