"""A box that asks for one line: a file's name, a name."""

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static


class AskScreen(ModalScreen[str]):
    """Enter: what was typed, without blanks around it. Esc: ''."""

    CSS_PATH = "ask.tcss"
    BINDINGS = [Binding("escape", "leave", "leave")]  # noqa: RUF012

    def __init__(self, question: str, detail: str, value: str = "") -> None:
        super().__init__()
        self._question, self._detail, self._value = question, detail, value

    def compose(self) -> ComposeResult:
        """The box."""
        with Vertical(id="box"):
            yield Static(Content.styled(self._question, "bold"))
            yield Input(self._value, select_on_focus=False)
            yield Static(Content.styled(self._detail, "dim"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Close with it."""
        self.dismiss(event.value.strip())

    def action_leave(self) -> None:
        """Close without."""
        self.dismiss("")
