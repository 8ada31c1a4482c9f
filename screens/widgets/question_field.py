"""The field that a question to a student is typed in: lines wrap, Enter asks."""

from rich.text import Text
from textual import events
from textual.message import Message
from textual.widgets import TextArea

from engine.text import HOSTILE, SURROGATE
from screens.keys.table import key_of

LONGEST = 20_000
"""Characters that are asked."""


class QuestionField(TextArea):
    """Several lines of text; Tab leaves it."""

    class Submitted(Message):
        """Enter was pressed."""

    DEFAULT_CSS = """
    QuestionField { border: none; padding: 0; background: transparent; scrollbar-size-vertical: 1; }
    QuestionField:focus { border: none; }
    QuestionField .text-area--cursor-line { background: transparent; }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(
            id=id,
            soft_wrap=True,
            show_line_numbers=False,
            compact=True,
            tab_behavior="focus",
        )
        self.cursor_blink = False  # else it repaints twice a second

    def tell(self) -> None:
        """What it is for, with the keys as they are."""
        self.placeholder = (
            f"a question of your own; Enter asks, {key_of('try.leave')} leaves the field, "
            f"then {key_of('try.next')} {key_of('try.previous')} take one of the run's data"
        )

    def put(self, text: str) -> None:
        """Another question."""
        self.load_text(text)
        self.move_cursor(self.document.end)

    def get_line(self, line_index: int) -> Text:
        """A line; what a terminal would obey (pasted) is shown as a mark."""
        text = super().get_line(line_index)
        text.plain = SURROGATE.sub("\ufffd", HOSTILE.sub("\ufffd", text.plain))
        return text

    def on_key(self, event: events.Key) -> None:
        """Enter is for the screen."""
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.post_message(self.Submitted())
