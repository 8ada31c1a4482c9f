"""A row of text with its styles: what a pane of many rows is laid out as."""

from dataclasses import dataclass

from textual.content import Content, Span


@dataclass(frozen=True, slots=True)
class Row:
    """One row, without a line break."""

    text: str
    styles: tuple[tuple[int, int, str], ...] = ()
    """Each from a character to another of it; in order, and none over another."""

    @property
    def content(self) -> Content:
        """As Textual has it."""
        return Content(self.text, [Span(*style) for style in self.styles])


def joined(rows: "tuple[Row, ...] | list[Row]") -> Content:
    """All of them as one text."""
    spans, at = [], 0
    for row in rows:
        spans += [Span(at + start, at + end, style) for start, end, style in row.styles]
        at += len(row.text) + 1
    return Content("\n".join(row.text for row in rows), spans)
