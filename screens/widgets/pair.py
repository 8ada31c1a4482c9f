"""Rationales as text: each with its figures, what is marked in it, and what people remarked on it. Pure functions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, chop_cells
from textual.content import Content

from engine.store.rationales.questions import TEXT_LENGTH, Candidate, Question
from screens.widgets.parting import Side
from screens.widgets.row import Row, joined
from screens.widgets.words import line, paragraph, three, two

SHOWN = 4000
"""Characters of a rationale that are shown beside others; the pane alone on the screen has all that were read."""
PARTS = "parts company here"
STYLES = {"positive": "$success", "negative": "$error"}


@dataclass(frozen=True, slots=True)
class Drawing:
    """What one side's rationales are drawn with, beside themselves."""

    marks: Mapping[int, Side] = field(default_factory=dict)
    """What is marked in a rationale, by its number."""
    reasons: Mapping[int, str] = field(default_factory=dict)
    """Why one has no weight, by number."""
    found: re.Pattern[str] | None = None
    """What was searched for."""
    cursor: int | None = None
    """The number of the rationale that keys act on."""
    visited: bool = False
    """Whether training has come by this question."""
    wrap: bool = True
    limit: int = SHOWN


@dataclass(frozen=True, slots=True)
class Laid:
    """A side as rows, and the row in which each rationale begins, by number."""

    rows: tuple[Row, ...]
    starts: Mapping[int, int]

    @property
    def content(self) -> Content:
        """As one text."""
        return joined(self.rows)

    @property
    def plain(self) -> str:
        """The text alone."""
        return self.content.plain


class _Sheet:
    """Rows that are written one after the other, with their styles."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def row(self, text: str, *styles: tuple[int, int, str]) -> None:
        """A row; each style from a character to another of it."""
        self.rows.append(Row(text, tuple(style for style in styles if style[2])))


def layout(candidates: Sequence[Candidate], width: int, drawing: Drawing, aside: Sequence[Candidate] = ()) -> Laid:
    """All rationales of one side in `width` cells; `aside`: those never trained on, below the others."""
    sheet, starts = _Sheet(), dict[int, int]()
    if not candidates:
        sheet.row("none", (0, 4, "dim"))
    for i, candidate in enumerate((*candidates, *aside)):
        if i or not candidates:
            sheet.row("")
        starts[candidate.number] = len(sheet.rows)
        _title(sheet, candidate, width, drawing)
        text = paragraph(candidate.text, drawing.limit, candidate.length)
        _body(sheet, text, max(8, width - 2), drawing, drawing.marks.get(candidate.number, Side()), _style(candidate))
    return Laid(tuple(sheet.rows), starts)


def source(candidate: Candidate) -> str:
    """Who wrote it: teacher (of several: which), teacher minority, sample 4; self, it 26; ×2 where two are one text."""
    teacher = "teacher" if candidate.teacher is None else line(candidate.teacher.rpartition("/")[2], 24)
    name = {
        "teacher": teacher,
        "minority": f"{teacher} minority, sample {candidate.slot + 1}",
        "self": f"self, it {candidate.iteration}",
        "fixed": f"fixed, it {candidate.iteration}",
    }
    copies = f" ×{candidate.copies}" if candidate.copies > 1 else ""
    if candidate.source == "teacher" and candidate.polarity not in STYLES:
        return f"{teacher}, sample {candidate.slot + 1}{copies}"
    return name.get(candidate.source, line(candidate.source, 20)) + copies


def figures(candidate: Candidate, reason: str | None, visited: bool) -> list[tuple[str, str]]:
    """Its figures with their styles; what has no weight says why, what the method leaves aside says so."""
    parts = [(f"s {two(candidate.quality)}", "")] if candidate.quality is not None else []
    if candidate.polarity not in STYLES:
        return [(reason or candidate.polarity, "dim")]
    if candidate.cross_entropy is None:
        return [*parts, ("not used" if visited else "not visited yet", "dim")]
    parts.append((f"CE {three(candidate.cross_entropy)}", ""))
    if candidate.chosen and reason is None:
        # the loss falls as a negative's cross-entropy rises: its weight is stored as a size
        weight = candidate.weight or 0.0
        parts.append((f"weight {two(-abs(weight) if candidate.polarity == 'negative' else weight)}", ""))
    if reason is not None:
        parts.append((reason, "$warning" if reason.startswith("silen") else "dim"))
    return parts


def heading(sign: str, name: str, candidates: Sequence[Candidate]) -> str:
    """+ positives (4, 3 distinct)."""
    whole = sum(c.copies for c in candidates)
    distinct = f", {len(candidates)} distinct" if whole != len(candidates) else ""
    return f"{sign} {name} ({whole}{distinct})"


def _style(candidate: Candidate) -> str:
    return STYLES.get(candidate.polarity, "dim")


def _title(sheet: _Sheet, candidate: Candidate, width: int, drawing: Drawing) -> None:
    """The line above a text, a note below it; figures that do not fit go below."""
    flag = "⚑ " if candidate.flagged else ""
    answer = "" if candidate.answer is None else f" → {line(candidate.answer, 24)}"
    row = f"{'▶ ' if candidate.chosen else '  '}{flag}{source(candidate)}{answer}"
    style = f"bold {_style(candidate)}" if candidate.chosen else _style(candidate)
    styles = [(0, len(row), f"{style} reverse" if candidate.number == drawing.cursor else style)]
    for text, colour in figures(candidate, drawing.reasons.get(candidate.number), drawing.visited):
        if cell_len(row) + 3 + cell_len(text) > width and row.strip():
            sheet.row(row, *styles)
            row, styles = "  ", []
        row += "   " if row.strip() else ""
        styles.append((len(row), len(row) + len(text), colour))
        row += text
    sheet.row(row, *styles)
    if candidate.note is not None:
        for part in _wrapped(f"✎ {line(candidate.note, 1000)}".split(), max(8, width - 2)):
            sheet.row(f"  {part}", (2, 2 + len(part), "italic $accent"))


def _wrapped(words: Sequence[str], width: int) -> list[str]:
    rows = [""]
    for word in words:
        for piece in chop_cells(word, width) if cell_len(word) > width else [word]:
            if rows[-1] and cell_len(rows[-1]) + 1 + cell_len(piece) > width:
                rows.append("")
            rows[-1] += f" {piece}" if rows[-1] else piece
    return rows


def _body(sheet: _Sheet, text: str, width: int, drawing: Drawing, side: Side, style: str) -> None:
    """The text, word by word, two cells in; below the word where it parts company, a sign that says so."""
    hits = _hits(text, drawing.found)
    number = 0
    for part in text.split("\n"):
        row, styles, used = "  ", list[tuple[int, int, str]](), 0
        parts_at: int | None = None
        for word in part.split():
            differs = number in side.words
            shown = f"[{word}]" if differs else word
            size = cell_len(shown)
            pieces = chop_cells(shown, width) if drawing.wrap and size > width else (shown,)
            for i, piece in enumerate(pieces):
                size = size if len(pieces) == 1 else cell_len(piece)
                if drawing.wrap and used and used + 1 + size > width:
                    _end(sheet, row, styles, parts_at, width, drawing.wrap, style)
                    row, styles, used, parts_at = "  ", [], 0, None
                if used:
                    row += " "
                    used += 1
                if number == side.first and i == 0:
                    parts_at = used
                if differs or number in hits:
                    look = " ".join(("reverse",) * (number in hits) + (f"bold underline {style}",) * differs)
                    styles.append((len(row), len(row) + len(piece), look))
                row += piece
                used += size
            number += 1
        _end(sheet, row, styles, parts_at, width, drawing.wrap, style)


def _end(
    sheet: _Sheet,
    row: str,
    styles: Sequence[tuple[int, int, str]],
    parts_at: int | None,
    width: int,
    wrap: bool,
    style: str,
) -> None:
    """A row of a text, and the sign below it where it is there that it parts company."""
    sheet.row(row, *styles)
    if parts_at is None:
        return
    sign = f"╰ {PARTS}"
    if parts_at + len(sign) <= width or not wrap:
        sign = " " * parts_at + sign
    elif parts_at >= len(PARTS) + 1:
        sign = f"{PARTS} ╯".rjust(min(width, parts_at + 1))
    sheet.row(f"  {sign}", (2, 2 + len(sign), f"italic {style}"))


def _hits(text: str, found: re.Pattern[str] | None) -> set[int]:
    """The words, by number, that a match lies in."""
    if found is None:
        return set()
    matches = [m.span() for m in found.finditer(text) if m.end() > m.start()]
    if not matches:
        return set()
    hits, at = set(), 0
    for number, word in enumerate(re.finditer(r"\S+", text)):
        while at < len(matches) and matches[at][1] <= word.start():
            at += 1
        if at == len(matches):
            break
        if matches[at][0] < word.end():
            hits.add(number)
    return hits


def limit(question: Question, alone: bool) -> int:
    """Characters of each rationale that are shown: of many fewer, so that a key is answered at once."""
    many = max(1, len(question.positives), len(question.negatives) + len(question.aside))
    if alone:
        return max(SHOWN // 2, min(TEXT_LENGTH, 2 * TEXT_LENGTH // many))
    return max(SHOWN // 4, min(SHOWN, 3 * SHOWN // many))
