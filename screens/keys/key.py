"""A line of the table of keys, and the lines that every list has."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """One line of the table."""

    keys: str
    """Textual's names, comma between alternatives."""
    shown: str
    """As people write it."""
    action: str
    place: str
    """A key of the table's PLACES."""
    label: str
    """One or two words, for footer and borders."""
    help: str
    """Another key is named in it by its own name: {live.pause}."""
    footer: bool = False
    pane: str = ""
    """The pane whose border names it."""

    @property
    def name(self) -> str:
        """What it is called where keys are remapped: live.pause."""
        return f"{self.place}.{'-'.join(self.label.replace(',', '').split())}"


def movement(place: str, what: str, pane: str = "") -> tuple[Key, ...]:
    """The keys that every list has, for the screen's actions `move`, `page` and `end`; `what` is what it lists."""
    return (
        Key("j,down", "j ↓", "move(1)", place, "down", f"Next {what}", pane=pane),
        Key("k,up", "k ↑", "move(-1)", place, "up", f"Previous {what}"),
        Key("g,home", "g", "end(-1)", place, "first", f"First {what}"),
        Key("G,end", "G", "end(1)", place, "last", f"Last {what}", pane=pane),
        Key("pagedown", "PgDn", "page(1)", place, "page down", "A page down"),
        Key("pageup", "PgUp", "page(-1)", place, "page up", "A page up"),
    )
