"""A question over its visits: what was chosen when, how hard it was, and what the student answered. Pure functions."""

from collections.abc import Sequence
from itertools import pairwise

from textual.content import Content

from engine.store.rationales.questions import Chosen, Moment, Question
from screens.widgets.words import UNKNOWN, count, marks, spark, three

NAME = 13
"""Cells of a row's name."""
LAST = 34
"""Cells that are kept for what stands behind a row."""
BARS = "▁▂▃▄▅▆▇█"
SIGNS = {"self": "s", "fixed": "f", "perturbed": "p", "peer": "e"}


def visit_title(question: Question) -> str:
    """Which visit of how many."""
    if question.step is None or not question.visits:
        return "this question over visits"
    at = question.visits.index(question.step) + 1 if question.step in question.visits else len(question.visits)
    kept = "" if question.followed else " (not followed: the last is kept)"
    return f"this question over visits · {at} of {len(question.visits)}, step {count(question.step)}{kept}"


def history(question: Question, width: int, tall: bool) -> Content:
    """Cross-entropies of the chosen pair, which one it was, and the student's answers, over time.

    tall: five rows over one axis, the visit on screen marked; else one line.
    """
    if not tall:
        return _line(question, width)
    moments = question.history
    cells = max(1, min(len(moments), width - NAME - LAST))
    here = next((_cell(i, len(moments), cells) for i, m in enumerate(moments) if m.step == question.step), None)
    rows = []
    for sign, style, ces, chosen in (
        ("+", "$success", [m.positive_ce for m in moments], [m.positives for m in moments]),
        ("−", "$error", [m.negative_ce for m in moments], [m.negatives for m in moments]),
    ):
        now = next((ce for m, ce in zip(moments, ces, strict=True) if m.step == question.step), None)
        rows.append(_row(f"CE chosen {sign}", bars(ces, cells), style, here, three(now)))
        rows.append(_row(f"which {sign}", changes(chosen, cells), style, here, _changed(moments, chosen)))
    rows.append(_row("answer", _answers(question, cells), "", here, _said(question)))
    return Content("\n").join(rows)


def _row(name: str, cells: str, style: str, here: int | None, behind: str) -> Content:
    shown = Content.styled(cells, style) if style else Content(cells)
    if here is not None and here < len(cells):
        shown = shown.stylize("reverse", here, here + 1)
    return Content.assemble((f"{name:<{NAME}}", "dim"), shown, f"  {behind}")


def _line(question: Question, width: int) -> Content:
    cells = max(4, min(30, (width - 50) // 3))
    parts: list[Content] = []
    for name, values, style in (
        ("CE chosen +", [m.positive_ce for m in question.history], "$success"),
        ("CE chosen −", [m.negative_ce for m in question.history], "$error"),
    ):
        real = tuple(v for v in values if v is not None)
        last = three(real[-1]) if real else UNKNOWN
        parts.append(Content.assemble((f"{name} ", "dim"), (spark(real, cells), style), f" {last}"))
    answers = marks(tuple(right for _, right in question.answers), cells)
    parts.append(Content.assemble(("answer ", "dim"), answers or UNKNOWN))
    return Content("    ").join(parts)


def _cell(i: int, count: int, cells: int) -> int:
    return i * cells // count


def bars(values: Sequence[float | None], cells: int) -> str:
    """Values over `cells` cells, those of one cell averaged; a blank where there is none."""
    groups: list[list[float]] = [[] for _ in range(cells)]
    for i, value in enumerate(values):
        if value is not None:
            groups[_cell(i, len(values), cells)].append(value)
    means = [sum(group) / len(group) if group else None for group in groups]
    real = [mean for mean in means if mean is not None]
    low, high = (min(real), max(real)) if real else (0.0, 0.0)
    return "".join(" " if m is None else BARS[round(7 * (m - low) / (high - low)) if high > low else 3] for m in means)


def changes(chosen: Sequence[tuple[Chosen, ...]], cells: int) -> str:
    """A sign where another rationale is chosen than before, a line while it is the same, a blank where none is."""
    shown = [""] * cells
    before: tuple[Chosen, ...] = ()
    for i, now in enumerate(chosen):
        at = _cell(i, len(chosen), cells)
        if not now:
            shown[at] = shown[at] or " "
        elif now != before:
            shown[at] = sign(now)
        elif shown[at] in ("", " "):
            shown[at] = "─"
        before = now
    return "".join(shown)


def sign(chosen: tuple[Chosen, ...]) -> str:
    """1 to 9: that sample of the teacher's; s self, f fixed, p perturbed, e peer; * several, or a sample beyond 9."""
    if len(chosen) > 1:
        return "*"
    one = chosen[0]
    digit = str(one.slot + 1) if one.slot < 9 else "*"
    return digit if one.source in ("teacher", "minority") else SIGNS.get(one.source, "*")


def _changed(moments: Sequence[Moment], chosen: Sequence[tuple[Chosen, ...]]) -> str:
    """How often another one was chosen, and when last."""
    known = [(m.step, now) for m, now in zip(moments, chosen, strict=True) if now]
    steps = [step for (_, before), (step, now) in pairwise(known) if before != now]
    if not known:
        return UNKNOWN
    return f"changed {len(steps)}×, last at {count(steps[-1])}" if steps else "always the same"


def _answers(question: Question, cells: int) -> str:
    """✓ or ✗ in the cell of the last visit before each evaluation; where they would not fit, in a row."""
    steps = [m.step for m in question.history]
    shown = [" "] * cells
    for step, right in question.answers:
        at = sum(s <= step for s in steps) - 1
        cell = _cell(max(at, 0), max(len(steps), 1), cells)
        if shown[cell] != " ":
            return marks(tuple(right for _, right in question.answers), cells)
        shown[cell] = marks((right,), 1)
    return "".join(shown)


def _said(question: Question) -> str:
    if not question.answers:
        return UNKNOWN
    return f"{sum(right is True for _, right in question.answers)} of {len(question.answers)} right"
