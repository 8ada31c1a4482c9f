"""The pane with what is known of the run or group under the cursor."""

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.store.runs.browse import Score
from engine.store.runs.listing import Listed
from screens.listing.arrange import Group
from screens.listing.columns import Moment
from screens.listing.preview import group_preview, preview

BESIDE = 160
"""Columns from which the preview stands beside the list; it takes PREVIEW of them."""
PREVIEW = 64


class RunPreview(VerticalScroll):
    """`show` draws what is known; what is drawn already, or needs no more lines, is not laid out again."""

    def __init__(self) -> None:
        super().__init__(id="preview", can_focus=False)
        self.border_title = Content("Run")
        self._shown: tuple[str, Content] | None = None

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static("", markup=False)

    def show(self, under: Listed | Group | None, scores: tuple[Score, ...], moment: Moment) -> None:
        """What is known of what is under the cursor; `scores` are the run's."""
        if isinstance(under, Group):
            self._draw("Group", group_preview(under))
        else:
            self._draw("Run", Content("") if under is None else preview(under, scores, moment))

    def _draw(self, title: str, text: Content) -> None:
        if (title, text) != self._shown:
            self._shown = (title, text)
            self.border_title = Content(title)
            inner = self.query_one(Static)
            height = text.get_height({}, inner.size.width) if inner.size.width else -1
            inner.update(text, layout=height != inner.size.height)
