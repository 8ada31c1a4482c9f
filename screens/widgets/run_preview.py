"""The pane with what is known of the run or group under the cursor."""

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static


class RunPreview(VerticalScroll):
    """`show` draws a text; what is drawn already, or needs no more lines, is not laid out again."""

    def __init__(self) -> None:
        super().__init__(id="preview", can_focus=False)
        self.border_title = Content("Run")
        self._shown: tuple[str, Content] | None = None

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static("", markup=False)

    def clear(self) -> None:
        """Nothing is under the cursor."""
        self.show("Run", Content(""))

    def show(self, title: str, text: Content) -> None:
        """This text under that title."""
        if (title, text) != self._shown:
            self._shown = (title, text)
            self.border_title = Content(title)
            inner = self.query_one(Static)
            height = text.get_height({}, inner.size.width) if inner.size.width else -1
            inner.update(text, layout=height != inner.size.height)
