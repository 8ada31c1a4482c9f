"""The compare screen: two to eight runs over each other, what they differ in, and the questions they disagree on."""

import sqlite3
from dataclasses import dataclass
from typing import Any

from rich.style import Style
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.evaluation.side_by_side import (
    LISTED,
    MOST,
    Difference,
    Disagreement,
    Side,
    SideBySide,
    SideReader,
    Written,
    read_written,
)
from screens.base import Look, View
from screens.keys.table import bindings, hints, key_of
from screens.reading.reader import Snapshot
from screens.remembered.kept import CompareKept
from screens.widgets.chart import Chart
from screens.widgets.footer import Footer
from screens.widgets.pane_tabs import PaneTabs
from screens.widgets.pick_list import PickList
from screens.widgets.plot import Lens, Line
from screens.widgets.words import STATUS, UNKNOWN, accuracy, count, duration, line, paragraph

STYLES = (
    "$text-success",
    "$text-primary",
    "$text-warning",
    "$text-secondary",
    "$text-error",
    "$foreground",
    "bold $text-primary",
    "bold $text-secondary",
)
LETTERS = "abcdefgh"
"""A run's name on this screen: its curve ends in it, so that colour is not needed."""
BELOW = "\n" + " " * 12
"""Goes on under a head's accuracy, where the pane is too narrow for its figures in one line."""
FIRST_METRICS = ("accuracy/explain", "accuracy/predict", "loss/total", "loss/contrast", "loss/predict")


@dataclass(frozen=True, slots=True)
class CompareWatch:
    """These runs, and what they wrote to one question."""

    run_ids: tuple[int, ...]
    head: str
    example: str | None

    def read(self, con: sqlite3.Connection, kept: dict[str, Any]) -> "Compared | None":
        """The runs; their answers are read anew only when there are new ones."""
        reader: SideReader | None = kept.get("compare")
        if reader is None or (reader.run_ids, reader.head) != (self.run_ids, self.head):
            reader = kept["compare"] = SideReader(self.run_ids, self.head)
        found = reader.read(con)
        if found is None:
            return None
        kept["more"] = reader.sketchy
        example = self.example
        if example is None and found.disagreements:
            example = found.disagreements[0].example
        ids = [side.run.id for side in found.sides]
        return Compared(found, example, () if example is None else read_written(con, ids, example, self.head))

    def at(self, content: "Compared", now: float) -> "Compared":
        """Nothing on it grows old."""
        return content


@dataclass(frozen=True, slots=True)
class Compared:
    """What a CompareWatch reads."""

    runs: SideBySide
    example: str | None
    written: tuple[Written | None, ...]
    """To that question, by run."""


class CompareScreen(View):
    """Runs beside each other; the first is what the others are compared with."""

    CSS_PATH = "compare.tcss"
    AUTO_FOCUS = "#questions"
    PLACE = "compare"
    BINDINGS = bindings("compare")

    def __init__(self, run_ids: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.run_ids = tuple(dict.fromkeys(run_ids))[:MOST]
        self._head = "explain"
        self._metric = FIRST_METRICS[0]
        self._example: str | None = None
        self._other = 1
        self.kept: CompareKept = CompareKept()
        self._seen: Compared | None = None

    def compose(self) -> ComposeResult:
        """Curves and figures above, questions and texts below; on a narrow terminal one of them at a time."""
        yield self.problem()
        yield Static("", id="empty", markup=False)
        self.add_class(f"-on-{self.kept.tab}", update=False)
        yield PaneTabs("curves", "runs", "questions", front=self.kept.tab)
        with Container(id="upper"):
            chart = Chart("curves", id="curves")
            chart.border_subtitle = Content(hints("compare", "curves"))
            yield chart
            with VerticalScroll(id="figures", can_focus=False) as figures:
                figures.border_title = Content("Runs")
                yield Static("", markup=False)
        with Container(id="lower"):
            questions = PickList[Disagreement](lambda row: row.example, question_line, id="questions")
            questions.border_subtitle = Content(hints("compare", "questions"))
            yield questions
            with Container(id="texts"):
                for name in ("left", "right"):
                    with VerticalScroll(id=name, classes="text", can_focus=False) as pane:
                        if name == "right":
                            pane.border_subtitle = Content(hints("compare", "right"))
                        yield Static("", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Nothing was chosen yet."""
        self.set_class(not self.run_ids, "-empty")

    def open(self, run_ids: tuple[int, ...]) -> None:
        """Show these runs from now on."""
        if run_ids != self.run_ids:
            self.run_ids, self._example, self._other, self._seen = run_ids, None, 1, None

    def recall(self, kept: CompareKept) -> None:
        """Look as it was left."""
        self.kept = kept
        if self.is_mounted:
            self.query_one(PaneTabs).bring(kept.tab)
            self._draw_curves()

    def blanks(self) -> dict[str, str]:
        """The runs, without those that are no longer there."""
        if self.has_class("-empty"):
            return {}
        there = self.run_ids if self._seen is None else [side.run.id for side in self._seen.runs.sides]
        ids = " ".join(map(str, there))
        return {"RUNS": ids, "METRIC": self._metric} if ids else {}

    def wanted(self) -> CompareWatch:
        """These runs and this question."""
        return CompareWatch(self.run_ids, self._head, self._example)

    def show(self, snapshot: Snapshot) -> None:
        """Draw what was read."""
        seen: Compared | None = snapshot.content
        if seen is None:
            self.set_class(not self.run_ids or snapshot.problem is None, "-empty")
            self.query_one("#empty", Static).update(Content(nothing()))
            if self.run_ids and snapshot.problem is None:
                self.show_problem(f"these runs are not in this database: {key_of('all.runs')} shows those there are")
            return
        self.remove_class("-empty")
        self._seen = seen
        self._other = max(1, min(self._other, len(seen.runs.sides) - 1))
        self._draw_curves()
        self.query_one("#figures Static", Static).update(figures(seen.runs, self.width))
        questions = self._questions
        if questions.rows != seen.runs.disagreements:
            questions.show(seen.runs.disagreements)
        questions.border_title = Content(questions_title(seen.runs, self._head))
        self._draw_texts()

    def _draw_curves(self) -> None:
        if self._seen is not None:
            metrics = names(self._seen.runs)
            if self._metric not in metrics and metrics:
                self._metric = metrics[0]
            lines = curves(self._seen.runs, self._metric)
            self.query_one(Chart).show(lines, Lens(self.kept.log_y, self.kept.smooth), line(self._metric, 30))

    def _draw_texts(self) -> None:
        seen = self._seen
        if seen is None:
            return
        row = self._questions.row
        for pane, at in (("left", 0), ("right", self._other)):
            scroll = self.query_one(f"#{pane}", VerticalScroll)
            there = at < len(seen.runs.sides)
            scroll.display = there
            if there:
                scroll.border_title = text_title(seen.runs.sides[at], at)
                written = seen.written[at] if at < len(seen.written) else None
                asked = row if row is not None and row.example == seen.example else None
                scroll.query_one(Static).update(text(asked, written, with_question=pane == "left"))

    def action_next_tab(self) -> None:
        """Curves, Runs, Questions, and round again."""
        self.query_one(PaneTabs).next()

    def action_metric(self, by: int) -> None:
        """Another metric's curves."""
        metrics = names(self._seen.runs) if self._seen is not None else ()
        if metrics:
            self._metric = metrics[(metrics.index(self._metric) + by) % len(metrics)]
            self._draw_curves()

    def action_smooth(self) -> None:
        """Smooth, or every point."""
        self._keep(smooth=not self.kept.smooth)

    def action_log_y(self) -> None:
        """Logarithmic axis, or not."""
        self._keep(log_y=not self.kept.log_y)

    def on_tabs_tab_activated(self) -> None:
        """Another tab."""
        self._keep(tab=self.query_one(PaneTabs).front)

    def action_head(self) -> None:
        """The other head's disagreements."""
        self._head = "predict" if self._head == "explain" else "explain"
        self._example = None
        self.post_message(Look())

    def action_other(self, by: int) -> None:
        """Another run on the right."""
        if self._seen is not None and len(self._seen.runs.sides) > 1:
            self._other = 1 + (self._other - 1 + by) % (len(self._seen.runs.sides) - 1)
            self._draw_texts()

    def action_move(self, by: int) -> None:
        """Another question."""
        self._to(self._questions.cursor + by)

    def on_pick_list_moved(self) -> None:
        """A question was clicked."""
        self._to(self._questions.cursor)

    def action_page(self, by: int) -> None:
        """As many questions on as are in sight."""
        self.action_move(by * self._questions.page)

    def action_end(self, by: int) -> None:
        """The first question, or the last one listed."""
        self._to(by * LISTED)

    @property
    def _questions(self) -> PickList[Disagreement]:
        return self.query_one("#questions", PickList)

    def _to(self, place: int) -> None:
        questions = self._questions
        questions.move(place)
        if questions.row is not None and questions.row.example != self._example:
            self._example = questions.row.example
            for pane in self.query(".text"):
                pane.scroll_home(animate=False)
            self.post_message(Look())


def nothing() -> str:
    """How runs get here."""
    where, mark, lay = (key_of(name) for name in ("all.runs", "runs.choose", "runs.compare"))
    return (
        f"Choose two to eight runs in the list ({where}): {mark} marks one, {lay} compares them.\n\n"
        "In a terminal: qcrd compare RUN RUN …"
    )


def names(runs: SideBySide) -> tuple[str, ...]:
    """Metrics that any of the runs has, those asked for most first."""
    there = {curve.name for side in runs.sides for curve in side.curves}
    return (*(name for name in FIRST_METRICS if name in there), *sorted(there - set(FIRST_METRICS)))


def curves(runs: SideBySide, metric: str) -> tuple[Line, ...]:
    """A line a run."""
    return tuple(
        Line(
            line(side.run.name, 24),
            LETTERS[at],
            STYLES[at],
            next((curve for curve in side.curves if curve.name == metric), None),
        )
        for at, side in enumerate(runs.sides)
    )


def figures(runs: SideBySide, width: int) -> Content:
    """On a screen of that width: accuracies on test, differences to the first, and the settings that differ."""
    parts: list[Content] = []
    for at, side in enumerate(runs.sides):
        glyph, style = STATUS[side.run.status]
        parts.append(
            Content.assemble(
                (f"{LETTERS[at]} ", f"bold {STYLES[at]}"),
                (f"{glyph} ", style),
                (line(side.run.name, 40), "bold"),
                (f"  run {side.run.id} · {duration(side.run.seconds)}", "dim"),
            )
        )
        for head in ("explain", "predict"):
            score = next((s for s in side.scores if (s.who, s.head) == ("student", head)), None)
            found = side.differences.get(head)
            parts.append(
                Content.assemble(
                    (f"  {head:<8}", "dim"),
                    f"{accuracy(score.accuracy) if score else UNKNOWN:>11}",
                    f"  {against(found)}{'  ' if width >= 150 else BELOW}{solved(found)}" if found else "",
                )
            )
    if len(runs.sides) > 1:
        of = "differences to a on the same test questions, 95 % (Newcombe); p: McNemar, exact"
        many = f"; {len(runs.sides) - 1} comparisons: p is not corrected" if len(runs.sides) > 2 else ""
        parts.append(Content.styled(of + many, "dim"))
    parts.append(Content(""))
    parts.append(Content.styled("Settings that differ", "bold") if runs.settings else Content("the same settings"))
    for key, values in runs.settings:
        told = Content("  ").join(
            Content.assemble((f"{LETTERS[at]} ", STYLES[at]), line(value.strip('"'), 40))
            for at, value in enumerate(values)
        )
        parts.append(Content.assemble((f"  {line(key, 44)}  ", "dim"), told))
    return Content("\n").join(parts)


def against(found: Difference) -> str:
    """+0.12 (+0.09 to +0.15) p <0.001."""
    p = "p <0.001" if found.p < 0.001 else f"p {found.p:.3f}"
    low, high, value = (f"{x:+.2f}".replace("-", "−") for x in (found.low, found.high, found.value))
    return f"{value} ({low} to {high}) {p}"


def solved(found: Difference) -> str:
    """160:40 alone, both 200 of 400 (IoU 0.50): questions that one alone got right, and that both did of all solved."""
    union = count(found.both + found.alone + found.first_alone)
    alike = "" if found.overlap is None else f", both {count(found.both)} of {union} (IoU {found.overlap:.2f})"
    return f"{count(found.alone)}:{count(found.first_alone)} alone{alike}"


def questions_title(runs: SideBySide, head: str) -> str:
    """How many of how many."""
    if not runs.asked:
        return f"{head}: no test question that all have answered"
    listed = f", the first {count(len(runs.disagreements))}" if len(runs.disagreements) < runs.disagreeing else ""
    return f"{head}: they disagree on {count(runs.disagreeing)} of {count(runs.asked)}{listed}"


def question_line(row: Disagreement) -> tuple[str, Style]:
    """Who was right, and how the question begins."""
    right = "".join("·" if r is None else "✓" if r else "✗" for r in row.right)
    return f"{right} {line(row.question, 200)}", Style()


def text_title(side: Side, at: int) -> Content:
    """Whose text it is."""
    return Content.assemble((f"{LETTERS[at]} ", f"bold {STYLES[at]}"), line(side.run.name, 40))


def text(row: Disagreement | None, written: Written | None, *, with_question: bool) -> Content:
    """What a student wrote, and whether it is right."""
    parts: list[Content] = []
    if row is not None and with_question:
        parts += [Content.styled(paragraph(row.question), "dim"), Content.styled(f"gold {line(row.gold, 60)}", "dim")]
    if written is None:
        return Content("\n").join([*parts, Content("not asked" if row is not None else "")])
    right = {True: ("✓", "$success"), False: ("✗", "$error"), None: (UNKNOWN, "dim")}[written.right]
    parts.append(Content.assemble(right, f" {line(written.answer or 'no answer', 80)}"))
    parts.append(Content(paragraph(written.text, 6000, written.length)))
    return Content("\n").join(parts)
