"""Texts and titles that are drawn again only where they say something else, and laid out only where they may take other
room."""

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static


def tell(widget: Static, content: Content) -> None:
    """Show this, at the least cost; the widget is as wide as what it stands in."""
    before = widget.content
    if not isinstance(before, Content):
        widget.update(content)
    elif not before.is_same(content):
        old, new = before.split("\n"), content.split("\n")
        fits = all(part.cell_length <= widget.size.width for part in (*old, *new))
        widget.update(content, layout=not fits or len(old) != len(new))


def entitle(widget: Widget, title: Content) -> None:
    """Write this in its border: to set a title is to have all of the widget painted."""
    if widget.border_title != title.markup:
        widget.border_title = title
