"""A row of text as Textual paints it, for widgets that draw row by row what is in sight of them."""

from rich.segment import Segment
from textual.content import Content
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget


def strip(content: Content, width: int, style: Style, left: int = 0, row: int | None = None) -> Strip:
    """A row that holds no line breaks: what there is of it in `width` cells, from its cell `left` on.

    `row`: its number, which every part is given, so that what lies under the mouse can be selected; None: it cannot.
    """
    segments, at = [], 0
    for text, own in content.render(style, end=""):
        drawn = style + own
        segments.append(Segment(text, drawn.rich_style if row is None else drawn.rich_style_with_offset(at, row)))
        at += len(text)
    return Strip(segments, content.cell_length).crop(left, left + width)


def selected(widget: Widget, content: Content, row: int, selection: Selection) -> Content:
    """The row with what is selected of it marked."""
    span = selection.get_span(row)
    if span is None:
        return content
    style = Style.from_styles(widget.screen.get_component_styles("screen--selection"))
    return content.stylize(style, span[0], len(content.plain) if span[1] == -1 else span[1])


def veiled(widget: Widget) -> bool:
    """Whether a tint or an opacity, also one of what it lies in, changes what is drawn."""
    return bool(widget.styles.tint.a) or widget.styles.text_opacity != 1 or widget.opacity != 1
