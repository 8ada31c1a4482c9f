"""Rationales as text: each with its figures, and where the chosen pair parts company. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from rich.cells import cell_len, chop_cells
from textual.content import Content

from engine.store.questions import Candidate
from screens.widgets.words import line, paragraph, three, two

COMPARED = 200
"""Words of a text that are compared: matching grows with the square."""
SHOWN = 4000
"""Characters of a rationale that are shown."""
PARTS = "parts company here"


@dataclass(frozen=True, slots=True)
class Parting:
    """Where one text leaves another: the first word that differs, and all that do."""

    first: int | None
    words: frozenset[int]
    edits: int = 0
    """How many words differ, marked or not."""


@lru_cache(maxsize=64)
def parting(positive: str, negative: str) -> Parting:
    """Compares word by word; of two texts that share too little, only the place where they part is told."""
    left, right = positive.split()[:COMPARED], negative.split()[:COMPARED]
    if left == right:
        return Parting(None, frozenset())
    start = 0
    while start < min(len(left), len(right)) and left[start] == right[start]:
        start += 1
    changed = edited(left, right)
    first = min(start, len(right) - 1)
    return Parting(first, frozenset(changed) if 2 * len(changed) <= len(right) else frozenset(), len(changed))


def edited(left: Sequence[str], right: Sequence[str]) -> set[int]:
    """The words of `right` that the fewest edits make of `left` put in place of another or add."""
    # what is alike at both ends needs no table
    start, stop = 0, 0
    while start < min(len(left), len(right)) and left[start] == right[start]:
        start += 1
    while stop < min(len(left), len(right)) - start and left[-1 - stop] == right[-1 - stop]:
        stop += 1
    a, b = left[start : len(left) - stop], right[start : len(right) - stop]
    cost = [list(range(len(b) + 1))]
    for i, word in enumerate(a):
        above, row = cost[-1], [i + 1]
        for j, other in enumerate(b):
            row.append(min(above[j] + (word != other), above[j + 1] + 1, row[j] + 1))
        cost.append(row)
    i, j = len(a), len(b)
    found: set[int] = set()
    while j > 0:
        if i > 0 and cost[i][j] == cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]):
            i, j = i - 1, j - 1
            if a[i] != b[j]:
                found.add(start + j)
        elif i > 0 and cost[i][j] == cost[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
            found.add(start + j)
    return found


def source(candidate: Candidate) -> str:
    """Who wrote it: teacher (of several: which), teacher minority, self it 26; ×2 where two samples are one text."""
    teacher = "teacher" if candidate.teacher is None else line(candidate.teacher.rpartition("/")[2], 24)
    name = {"teacher": teacher, "minority": f"{teacher} minority", "self": f"self, it {candidate.iteration}"}
    copies = f" ×{candidate.copies}" if candidate.copies > 1 else ""
    return name.get(candidate.source, line(candidate.source, 20)) + copies


def figures(candidate: Candidate, delta: float | None, visited: bool) -> list[tuple[str, str]]:
    """Its figures with their styles; what the hinge silenced says why, what the method leaves aside says so."""
    parts = [(f"s {two(candidate.quality)}", "")] if candidate.quality is not None else []
    if candidate.cross_entropy is None:
        return [*parts, ("not used" if visited else "not visited yet", "dim")]
    parts.append((f"CE {three(candidate.cross_entropy)}", ""))
    if candidate.chosen:
        parts.append((f"weight {two(candidate.weight)}", ""))
    # only the chosen one is ever active: of the others nothing but the hinge tells
    above = delta is not None and candidate.cross_entropy >= delta
    if candidate.polarity == "negative" and (above or (candidate.chosen and candidate.active is False)):
        why = f": {three(candidate.cross_entropy)} > {delta:g}" if above else ""
        parts.append((f"silent{why}", "$warning"))
    return parts


def layout(
    candidates: Sequence[Candidate],
    width: int,
    delta: float | None,
    *,
    apart: Parting | None = None,
    wrap: bool = True,
    visited: bool = False,
) -> Content:
    """All rationales of one side in `width` cells; `apart` marks words of the chosen one.

    `visited`: whether training has come by this question.
    """
    if not candidates:
        return Content.styled("none", "dim")
    style = "$success" if candidates[0].polarity == "positive" else "$error"
    rows: list[Content] = []
    for candidate in candidates:
        rows += _title(candidate, width, delta, style, visited)
        marked = apart if candidate.chosen else None
        rows += _body(paragraph(candidate.text, SHOWN, candidate.length), max(8, width - 2), marked, wrap, style)
        rows.append(Content(""))
    return Content("\n").join(rows[:-1])


def _title(candidate: Candidate, width: int, delta: float | None, style: str, visited: bool) -> list[Content]:
    """The line above a text; figures that do not fit go below."""
    mark = "▶ " if candidate.chosen else "  "
    answer = "" if candidate.answer is None else f" → {line(candidate.answer, 24)}"
    name = f"{mark}{source(candidate)}{answer}"
    rows = [Content.styled(name, f"bold {style}" if candidate.chosen else style)]
    used = cell_len(name)
    for text, colour in figures(candidate, delta, visited):
        gap = "   " if used > 2 else ""
        if used + len(gap) + cell_len(text) > width and used > 2:
            rows.append(Content("  "))
            used, gap = 2, ""
        rows[-1] = Content.assemble(rows[-1], gap, (text, colour))
        used += len(gap) + cell_len(text)
    return rows


def _body(text: str, width: int, apart: Parting | None, wrap: bool, style: str) -> list[Content]:
    """The text, word by word, two cells in; below the word where it parts company, a sign that says so."""
    rows: list[Content] = []
    number = 0
    for part in text.split("\n"):
        words: list[tuple[str, bool, bool]] = []
        for word in part.split():
            differs = apart is not None and number in apart.words
            shown = f"[{word}]" if differs else word
            pieces = chop_cells(shown, width) if wrap and cell_len(shown) > width else [shown]
            words += [
                (p, differs, apart is not None and number == apart.first and i == 0) for i, p in enumerate(pieces)
            ]
            number += 1
        rows += _fill(words, width, wrap, style)
    return rows


def _fill(words: Sequence[tuple[str, bool, bool]], width: int, wrap: bool, style: str) -> list[Content]:
    rows: list[Content] = []
    current: list[Content] = []
    used, parts_at = 0, None

    def end() -> None:
        nonlocal current, used, parts_at
        rows.append(Content.assemble("  ", *current))
        if parts_at is not None:
            before = f"╰ {PARTS}"
            shift, sign = (parts_at, before) if parts_at + len(before) <= width or not wrap else (0, "")
            if not sign:
                sign = f"{PARTS} ╯".rjust(min(width, parts_at + 1)) if parts_at >= len(PARTS) + 1 else before
            rows.append(Content.styled(" " * (2 + shift) + sign, f"italic {style}"))
        current, used, parts_at = [], 0, None

    for word, differs, first in words:
        size = cell_len(word)
        if wrap and used and used + 1 + size > width:
            end()
        if used:
            current.append(Content(" "))
            used += 1
        if first:
            parts_at = used
        current.append(Content.styled(word, f"bold underline {style}") if differs else Content(word))
        used += size
    end()
    return rows


def heading(sign: str, name: str, candidates: Sequence[Candidate]) -> str:
    """+ positives (4, 3 distinct)."""
    whole = sum(c.copies for c in candidates)
    distinct = f", {len(candidates)} distinct" if whole != len(candidates) else ""
    return f"{sign} {name} ({whole}{distinct})"
