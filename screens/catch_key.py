"""A box that takes the next key that is pressed, whatever it is."""

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static


class CatchKeyScreen(ModalScreen[str]):
    """The key, by Textual's name; Esc: ''."""

    CSS_PATH = "catch_key.tcss"

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what

    def compose(self) -> ComposeResult:
        """The box."""
        with Vertical(id="box"):
            yield Static(Content.styled(f"Press a key for: {self._what}", "bold"))
            yield Static(Content.styled("Esc leaves it as it is", "dim"))

    def on_key(self, event: events.Key) -> None:
        """That one."""
        event.stop()
        self.dismiss("" if event.key == "escape" else event.key)
