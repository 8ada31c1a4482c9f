"""An editor for SQL: colours, completion, and the session's history in an empty editor."""

from rich.text import Text
from textual import events
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Static, TextArea

from engine.store.schema.catalog import Catalog
from engine.text import HOSTILE, SURROGATE
from screens.widgets.completion import Completion, complete
from screens.widgets.sql_text import spans
from screens.widgets.words import line

KINDS = ("keyword", "text", "number", "name", "comment")
WIDTH = 40
"""Cells of the box of completions."""


class SqlEditor(TextArea):
    """Text with the catalog's words offered below the cursor."""

    class Offered(Message):
        """Other completions than before, or none."""

    COMPONENT_CLASSES = {f"sql--{kind}" for kind in KINDS}  # noqa: RUF012
    DEFAULT_CSS = """
    SqlEditor { border: none; padding: 0; background: transparent; scrollbar-size-vertical: 1; }
    SqlEditor:focus { border: none; }
    SqlEditor .text-area--cursor-line { background: transparent; }
    SqlEditor .sql--keyword { color: $text-primary; text-style: bold; }
    SqlEditor .sql--text { color: $text-success; }
    SqlEditor .sql--number { color: $text-warning; }
    SqlEditor .sql--name { color: $text-secondary; }
    SqlEditor .sql--comment { text-style: dim italic; }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(
            id=id, soft_wrap=True, show_line_numbers=False, compact=True, placeholder="SELECT … FROM run_summary"
        )
        self.cursor_blink = False  # else it repaints twice a second
        self.catalog = Catalog()
        self.offered = Completion(0, ())
        self.chosen = 0
        self._picked = False
        self._spans: dict[int, list[tuple[int, int, str]]] = {}
        self._past: list[str] = []
        self._at = 0
        """Where in the past we are; its length: in the present."""

    def remember(self, sql: str) -> None:
        """One more for the history."""
        if not self._past or self._past[-1] != sql:
            self._past.append(sql)
        self._at = len(self._past)

    def put(self, sql: str) -> None:
        """Another text, in place of all, which undo brings back."""
        self.replace(sql, (0, 0), self.document.end)
        self.move_cursor(self.document.end)
        self._offer(Completion(0, ()))

    def render_lines(self, crop: Region) -> list[Strip]:
        """With the colours of the present text."""
        self._spans = spans(self.text)
        return super().render_lines(crop)

    def get_line(self, line_index: int) -> Text:
        """A line in its colours; what a terminal would obey (pasted, or from a file) is shown as a mark."""
        text = super().get_line(line_index)
        text.plain = SURROGATE.sub("\ufffd", HOSTILE.sub("\ufffd", text.plain))
        for start, stop, kind in self._spans.get(line_index, ()):
            text.stylize(self.get_component_rich_style(f"sql--{kind}", partial=True), start, stop)
        return text

    def on_text_area_changed(self) -> None:
        """Offer what fits."""
        if self.has_focus:
            self._offer(complete(self.text, self._cursor_at(), self.catalog))

    def on_text_area_selection_changed(self) -> None:
        """Away from the word: offer nothing."""
        if self.offered.choices and not 0 < self._cursor_at() - self.offered.start <= 64:
            self._offer(Completion(0, ()))

    def on_blur(self) -> None:
        """Elsewhere now."""
        self._offer(Completion(0, ()))

    def on_key(self, event: events.Key) -> None:
        """The keys of the completions, where there are some, and of the history."""
        taken = self._key_of_offer(event.key) if self.offered.choices else self._key_of_text(event.key)
        if taken:
            event.stop()
            event.prevent_default()

    def _key_of_offer(self, key: str) -> bool:
        if key in ("down", "up"):
            self.chosen = (self.chosen + (1 if key == "down" else -1)) % len(self.offered.choices)
            self._picked = True
            self.post_message(self.Offered())
        elif key == "tab" or (key == "enter" and self._picked):
            self._accept()
        elif key == "escape":
            self._offer(Completion(0, ()))
        else:
            return False
        return True

    def _key_of_text(self, key: str) -> bool:
        if key == "tab":
            found = complete(self.text, self._cursor_at(), self.catalog)
            self._offer(found)
            return bool(found.choices)
        if key not in ("up", "down") or not self._past:
            return False
        untouched = self._at < len(self._past) and self.text == self._past[self._at]
        if self.text.strip() and not untouched:
            return False
        at = self._at + (1 if key == "down" else -1)
        if not 0 <= at <= len(self._past):
            return untouched  # at its end the cursor does not wander off either
        self._at = at
        self.put(self._past[at] if at < len(self._past) else "")
        return True

    def _accept(self) -> None:
        """Write the chosen word in place of what was typed of it."""
        choice = self.offered.choices[self.chosen]
        row, column = self.cursor_location
        typed = self._cursor_at() - self.offered.start
        self._offer(Completion(0, ()))
        with self.prevent(TextArea.Changed):
            self.replace(choice.word, (row, column - typed), (row, column), maintain_selection_offset=False)

    def _offer(self, offered: Completion) -> None:
        if offered != self.offered:
            self.offered, self.chosen, self._picked = offered, 0, False
            self.post_message(self.Offered())

    def _cursor_at(self) -> int:
        """The cursor's place in the text, in characters."""
        return len(self.get_text_range((0, 0), self.cursor_location))


class Offers(Static):
    """The box of completions, drawn over the screen at the cursor."""

    DEFAULT_CSS = """
    Offers { display: none; layer: offers; width: 40; height: auto; background: $surface; border: round $accent; }
    Offers.-shown { display: block; }
    """

    def show(self, editor: SqlEditor, inside: Region) -> None:
        """What the editor offers, below its cursor or above; nothing where it offers nothing."""
        choices = editor.offered.choices
        self.set_class(bool(choices), "-shown")
        if not choices:
            return
        rows = [
            Content.assemble(
                (f" {line(choice.word, WIDTH - 14):<{WIDTH - 13}}", "reverse" if i == editor.chosen else ""),
                (f"{choice.kind:>9} ", "dim"),
            )
            for i, choice in enumerate(choices)
        ]
        self.update(Content("\n").join(rows))
        x, y = editor.cursor_screen_offset
        height = len(choices) + 2
        x = max(0, min(x - 2, inside.width - WIDTH))
        self.styles.offset = (x, y + 1 if y + 1 + height <= inside.height else max(0, y - height))
