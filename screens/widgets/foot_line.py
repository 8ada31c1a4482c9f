"""The line at the foot of the rationale screen: words to look for, a filter, a note."""

from textual.content import Content
from textual.widgets import Input

from engine.store.rationales.filter import TERMS
from screens.keys.table import key_of
from screens.widgets.filter_line import Terms

LINES = {
    "search": ("search", "words of a question or of a rationale; subtr* for beginnings"),
    "filter": ("filter: " + " ".join(TERMS), "e.g. polarity=negative quality<0.3 flipped; empty: all"),
    "note": ("note", "what there is to say about it; empty: no note"),
}
"""What the line at the foot is for: its name, and what it says while it is empty."""


class FootLine(Input):
    """Hidden until it is opened for something."""

    what = ""
    """What it is open for; empty: it is not."""

    def open(self, what: str, value: str = "", name: str = "") -> None:
        """Ask for that; `value` stands there already, `name` is what the border says in place of the usual."""
        title, self.placeholder = LINES[what]
        self.suggester = Terms() if what == "filter" else None
        self.border_title = Content(name or title)
        self.border_subtitle = Content(f"Enter go  {key_of('all.back')} leave")
        self.value, self.what = value, what
        self.cursor_position = len(value)
        self.add_class("-shown")
        self.focus()

    def close(self) -> bool:
        """Put it away; False where it was not open."""
        was_open = self.has_class("-shown")
        self.remove_class("-shown")
        self.what = ""
        return was_open
