"""A line to type in, with what can stand there: Tab takes the next offer, Enter is done, Esc leaves."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from engine.store.runs.complete import Words, complete, matching
from screens.listing.typed import Kind, nameable
from screens.widgets.words import line

HEADINGS: dict[Kind, str] = {"filter": "Filter", "sort": "Sort by", "group": "Group by", "columns": "Columns"}
LIST = {
    "group": "columns or settings that the list is a tree by, outermost first; nothing: no tree",
    "sort": "a column or a setting; the one it is sorted by already: the other way round; nothing: the newest first",
    "columns": "columns or settings, in their order; nothing: the usual ones",
}
"""Prompts that want keys, and what they want."""
HELP = {
    "filter": "method=qcrd acc>0.6 teacher~gpt state=running tag:paper star age<3d training.lr=0.002 other words",
    "tags": "tags to give; -tag takes one away",
    "note": "a note; nothing takes it away",
    **LIST,
}
OFFERED = 12
"""At most so many offers are listed."""


class Field(Input):
    """An Input whose Tab completes."""

    BINDINGS = [Binding("tab", "offer(1)", show=False), Binding("shift+tab", "offer(-1)", show=False)]  # noqa: RUF012

    class Offer(Message):
        """Tab was pressed."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def action_offer(self, by: int) -> None:
        """The next offer, or the one before."""
        self.post_message(self.Offer(by))


@dataclass(frozen=True, slots=True)
class Typed:
    """What the offers are made from, and which of them stands in the field."""

    text: str = ""
    at: int = -1


class Prompt(Vertical):
    """Hidden until it is asked to open."""

    DEFAULT_CSS = """
    Prompt { display: none; height: auto; max-height: 6; padding: 0 1; border: round $accent;
             border-title-color: $foreground; }
    Prompt.-shown { display: block; }
    Prompt Static { height: auto; max-height: 3; color: $foreground 70%; }
    """

    class Done(Message):
        """Enter was pressed."""

        def __init__(self, kind: Kind, text: str, run_ids: tuple[int, ...], words: Words) -> None:
            super().__init__()
            self.kind, self.text, self.run_ids, self.words = kind, text, run_ids, words

    def __init__(self) -> None:
        super().__init__()
        self.words = Words()
        """What there is in the database; empty until it is known."""
        self.kind: Kind = "filter"
        self.run_ids: tuple[int, ...] = ()
        """Whose tags or note."""
        self._typed = Typed()

    def compose(self) -> ComposeResult:
        """The field, and below it what it may become."""
        yield Field(compact=True)
        yield Static("", markup=False)

    def open(self, kind: Kind, text: str, heading: str = "", run_ids: tuple[int, ...] = ()) -> None:
        """Ask for something, of those runs where it is of some: others may be under the cursor by then.

        `text` is there already, `heading` is what the border says in place of the usual.
        """
        self.kind, self.run_ids, self._typed = kind, run_ids, Typed(text)
        self.border_title = Content(heading or HEADINGS[kind])
        self.add_class("-shown")
        field = self.query_one(Field)
        field.value = text
        field.cursor_position = len(text)
        field.focus()
        self.draw()

    def offer(self, words: Words) -> None:
        """More is known of what can stand there."""
        self.words = words
        self.draw()

    def close(self) -> bool:
        """Put it away; False where it was not open."""
        was_open = self.has_class("-shown")
        self.remove_class("-shown")
        return was_open

    def on_input_changed(self, event: Input.Changed) -> None:
        """Offer anew, unless it is an offer that was taken."""
        offers = self.offers()
        if self._typed.at < 0 or self._typed.at >= len(offers) or event.value != offers[self._typed.at]:
            self._typed = Typed(event.value)
        self.draw()

    def on_field_offer(self, event: Field.Offer) -> None:
        """Put the next offer into the field."""
        offers = self.offers()
        if offers:
            at = (self._typed.at + event.by) % len(offers) if self._typed.at >= 0 or event.by > 0 else len(offers) - 1
            self._typed = Typed(self._typed.text, at)
            field = self.query_one(Field)
            field.value = offers[at]
            field.cursor_position = len(offers[at])
            if len(offers) == 1:
                self._typed = Typed(offers[0])  # nothing else to go to: offer what follows it
            self.draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        event.stop()
        self.close()
        self.post_message(self.Done(self.kind, event.value.strip(), self.run_ids, self.words))

    def offers(self) -> tuple[str, ...]:
        """What the whole text may become."""
        text = self._typed.text
        if self.kind == "filter":
            return complete(text, self.words)
        if self.kind == "note":
            return ()
        before, blank, last = text.rpartition(" ")
        if self.kind == "tags":
            sign = "-" if last.startswith("-") else ""
            known = matching(last.removeprefix("-"), self.words.of("tag"))
        else:
            sign, known = "", matching(last, nameable(self.words))
        return tuple(f"{before}{blank}{sign}{key}" for key in known)

    def draw(self) -> None:
        """What may stand there, or what it is for."""
        offers = self.offers()
        width = max(20, self.size.width - 4)
        below = self.query_one(Static)
        if not offers:
            below.update(Content.styled(line(HELP[self.kind], 2 * width), "dim"))
            return
        below.update(offered(self._typed, offers, width))


def offered(typed: Typed, offers: Sequence[str], width: int) -> Content:
    """The last words of the offers in one line, the one that was taken marked."""
    first = max(0, min(typed.at - OFFERED // 2, len(offers) - OFFERED))
    start = typed.text.rfind(" ") + 1
    parts: list[tuple[str, str]] = []
    used = 0
    for i, offer in enumerate(offers[first : first + OFFERED], first):
        word = line(offer[start:].strip(), 40)
        used += len(word) + 2
        if used > width - 12 and parts:
            break
        parts += [(word, "reverse" if i == typed.at else ""), ("  ", "")]
    more = len(offers) - len(parts) // 2
    return Content.assemble(*parts, (f"+{more}" if more > 0 else "", "dim"))
