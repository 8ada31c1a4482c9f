"""The rationale screen: one question, what pulls the student beside what it is pushed from."""

import sqlite3
from dataclasses import dataclass
from functools import partial
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import Footer, Input, Static

from engine.store.questions import (
    Candidate,
    Question,
    find_question,
    next_followed,
    read_keys,
    read_question,
)
from screens.base import Ask, Look, View
from screens.keys import bindings, hints
from screens.reader import Answer, Reader, Snapshot
from screens.widgets.pair import Parting, heading, layout, parting
from screens.widgets.words import UNKNOWN, count, line, marks, paragraph, spark, three

COMPARED = 3000
"""Characters of a rationale that are compared."""
QUESTION_LENGTH = 1500
"""Characters of a question that are shown."""
NOTHING = (
    "This run has no rationales yet.\n\n"
    "They appear once the teacher's samples have been voted on;\n"
    "finetune learns from gold answers alone and never has any.\n\n2 goes back to the run"
)


@dataclass(frozen=True, slots=True)
class RationalesWatch:
    """One question of a run at one of its visits."""

    run_id: int | None
    index: int | None
    """Place of the question in the training set; None: the first that is followed."""
    step: int | None
    """The visit of it; None: the last."""

    def read(self, con: sqlite3.Connection, kept: dict[str, Any]) -> Question | None:
        """The question; None where the run has none."""
        if self.run_id is None:
            return None
        keys = keys_of(con, kept, self.run_id)
        index = self.index
        if index is None:
            index = next_followed(con, self.run_id, keys, -1) or 0
        return read_question(con, self.run_id, keys, index, self.step)

    def at(self, content: Question, now: float) -> Question:
        """Nothing about it grows old."""
        return content


@dataclass(frozen=True, slots=True)
class Found:
    """Where a search led; None: nowhere."""

    run_id: int
    words: str
    index: int | None


def keys_of(con: sqlite3.Connection, kept: dict[str, Any], run_id: int) -> tuple[str, ...]:
    """Ids of the run's questions in order, read anew when there are more."""
    known, keys = kept.get("questions", (-1, ()))
    count = con.execute("SELECT count(*) FROM votes WHERE run_id = ?", (run_id,)).fetchone()[0]
    if known != run_id or count != len(keys):
        keys = read_keys(con, run_id)
        kept["questions"] = (run_id, keys)
    return tuple(keys)


class Pane(VerticalScroll):
    """One side: rationales of one polarity, drawn at the width there is."""

    ALLOW_MAXIMIZE = True

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._drawn: tuple[object, ...] = ()
        self._candidates: tuple[Candidate, ...] = ()
        self._delta: float | None = None
        self._apart: Parting | None = None
        self._visited = False
        self.wrap = True

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static("", markup=False)

    def show(
        self, candidates: tuple[Candidate, ...], delta: float | None, apart: Parting | None, visited: bool
    ) -> None:
        """Draw these."""
        self._candidates, self._delta, self._apart, self._visited = candidates, delta, apart, visited
        self.draw()

    def draw(self) -> None:
        """Lay the text out, unless it is as it was."""
        width = self.scrollable_content_region.width
        wanted = (self._candidates, self._delta, self._apart, self._visited, self.wrap, width)
        if width and wanted != self._drawn:
            self._drawn = wanted
            self.set_class(not self.wrap, "-unwrapped")
            apart, wrap, visited = self._apart, self.wrap, self._visited
            text = layout(self._candidates, width, self._delta, apart=apart, wrap=wrap, visited=visited)
            self.query_one(Static).update(text)

    def on_resize(self, event: events.Resize) -> None:
        """Another width, other lines."""
        self.draw()


class RationalesScreen(View):
    """One question of a run at a time."""

    CSS_PATH = "rationales.tcss"
    AUTO_FOCUS = "#positives"
    BINDINGS = bindings("rationales")

    def __init__(self) -> None:
        super().__init__()
        self.run_id: int | None = None
        self._index: int | None = None
        self._step: int | None = None
        self._question: Question | None = None
        self._words = ""

    def compose(self) -> ComposeResult:
        """Question above, the two sides, its history below."""
        yield self.problem()
        yield Static(Content(NOTHING), id="empty")
        yield Static("", id="question", markup=False)
        with Container(id="panes"):
            for name in ("positives", "negatives"):
                pane = Pane(id=name)
                pane.border_subtitle = Content(hints("rationales", name))
                yield pane
        below = Static("", id="history", markup=False)
        below.border_subtitle = Content(hints("rationales", "history"))
        yield below
        yield Input(placeholder="words of a question or of a rationale, Enter finds the next, Esc leaves", id="search")
        yield Footer(show_command_palette=False)

    def open(self, run_id: int) -> None:
        """Show that run's questions from now on."""
        if run_id != self.run_id:
            self.run_id, self._index, self._step, self._question = run_id, None, None, None

    def wanted(self) -> RationalesWatch:
        """This question at this visit."""
        return RationalesWatch(self.run_id, self._index, self._step)

    def show(self, snapshot: Snapshot) -> None:
        """Draw the question."""
        question: Question | None = snapshot.content
        if question is None and snapshot.problem is not None:
            if self._question is None:
                self.query_one("#empty", Static).update("")
                self.add_class("-empty")
            return
        self.set_class(question is None, "-empty")
        self._question = question
        if question is None:
            self.query_one("#empty", Static).update(Content(NOTHING))
            return
        top = self.query_one("#question", Static)
        top.border_title = title(question)
        top.border_subtitle = Content(f"question {count(question.index + 1)}/{count(question.count)}")
        top.update(top_text(question))
        self.query_one("#positives").border_title = Content(heading("+", "positives", question.positives))
        self.query_one("#negatives").border_title = negatives_title(question)
        apart = chosen_parting(question)
        visited = question.step is not None
        self.query_one("#positives", Pane).show(question.positives, question.delta, None, visited)
        self.query_one("#negatives", Pane).show(question.negatives, question.delta, apart, visited)
        self._draw_history()

    def on_resize(self) -> None:
        """The history has another width."""
        self._draw_history()

    def _draw_history(self) -> None:
        if self._question is not None:
            pane = self.query_one("#history", Static)
            pane.border_title = Content(visit_title(self._question))
            pane.update(history(self._question, self.size.width - 4))

    def _go(self, index: int) -> None:
        if self._question is None:
            return
        index = max(0, min(index, self._question.count - 1))
        if index != self._place():
            self._index, self._step = index, None
            for pane in self.query(Pane):
                pane.scroll_home(animate=False)
            self.post_message(Look())

    def action_question(self, by: int) -> None:
        """Next or previous question."""
        self._go(self._place() + by)

    def _place(self) -> int:
        """Where we are: a key may be faster than what it shows."""
        if self._index is not None:
            return self._index
        return 0 if self._question is None else self._question.index

    def action_followed(self) -> None:
        """The next question that is followed: each visit of it is kept, and the student asked for it."""
        if self.run_id is not None:
            self.post_message(Ask(partial(_next_followed, run_id=self.run_id, after=self._place())))

    def action_first(self) -> None:
        """The first question."""
        self._go(0)

    def action_last(self) -> None:
        """The last question."""
        if self._question is not None:
            self._go(self._question.count - 1)

    def action_visit(self, by: int) -> None:
        """An earlier or later visit; the last one follows the run."""
        question = self._question
        if question is None or not question.visits:
            return
        shown = question.step if self._step is None else self._step
        at = question.visits.index(shown) if shown in question.visits else len(question.visits) - 1
        at = max(0, min(at + by, len(question.visits) - 1))
        self._step = None if at == len(question.visits) - 1 else question.visits[at]
        if not question.followed and len(question.visits) < 2:
            self.notify("only the last visit of this question is kept: it is not among the followed", markup=False)
        self.post_message(Look())

    def action_wrap(self) -> None:
        """Wrap, or not."""
        for pane in self.query(Pane):
            pane.wrap = not pane.wrap
            pane.draw()

    def action_maximise(self) -> None:
        """The pane alone, and back."""
        if self.maximized is not None:
            self.minimize()
            return
        pane = self.focused if isinstance(self.focused, Pane) else self.query_one("#positives")
        self.maximize(pane)

    def action_down(self) -> None:
        """Scroll the pane in focus."""
        self._pane().scroll_relative(y=1, animate=False)

    def action_up(self) -> None:
        """Scroll the pane in focus."""
        self._pane().scroll_relative(y=-1, animate=False)

    def _pane(self) -> Pane:
        return self.focused if isinstance(self.focused, Pane) else self.query_one("#positives", Pane)

    def action_search(self) -> None:
        """Type words to look for."""
        field = self.query_one("#search", Input)
        field.add_class("-shown")
        field.focus()

    def action_search_next(self) -> None:
        """The next match of the last search."""
        if self._words and self.run_id is not None:
            self.post_message(Ask(partial(_find, run_id=self.run_id, after=self._place(), words=self._words)))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Look for the words."""
        self._words = event.value.strip()
        self.close_search()
        self.action_search_next()

    def close_search(self) -> bool:
        """Put the search field away; False where it was not open."""
        field = self.query_one("#search", Input)
        was_open = field.has_class("-shown")
        field.remove_class("-shown")
        if was_open:
            self.query_one("#positives").focus()
        return was_open

    def answered(self, answer: Answer) -> None:
        """Go where the search led."""
        found: Found = answer.result
        if found.run_id != self.run_id:
            return
        if found.index is None and not found.words:
            self.notify("no question of this run is followed", severity="warning", markup=False)
        elif found.index is None:
            self.notify(f"no question or rationale holds {line(found.words, 60)!r}", severity="warning", markup=False)
        else:
            self._go(found.index)


def _next_followed(reader: Reader, run_id: int, after: int) -> Answer:
    index = reader.read(lambda con, kept: next_followed(con, run_id, keys_of(con, kept, run_id), after))
    return Answer("rationales", Found(run_id, "", index))


def _find(reader: Reader, run_id: int, after: int, words: str) -> Answer:
    index = reader.read(lambda con, kept: find_question(con, run_id, keys_of(con, kept, run_id), after, words))
    return Answer("rationales", Found(run_id, words, index))


def title(question: Question) -> Content:
    """Run and moment."""
    when = "not visited yet" if question.iteration is None else f"iteration {question.iteration}/{question.iterations}"
    return Content(f"{line(question.run_name, 50)} · {when}")


DROPPED = {"right": "right answer", "no rationale": "no rationale", "no vote": "no vote", "band": "outside the band"}
"""Why, in words."""


def top_text(question: Question) -> Content:
    """The question, and who says what of it."""
    parts: list[Content | tuple[str, str]] = [
        Content(paragraph(question.text, QUESTION_LENGTH, question.length) or UNKNOWN),
        Content("\n"),
        Content.styled("gold ", "dim"),
        Content.styled(line(question.gold, 60), "bold"),
        Content.styled(" · vote ", "dim"),
        Content(f"{line(question.vote, 60)} ({question.votes} of {question.samples})"),
    ]
    if question.tie:
        parts.append(Content(" tie"))
    if question.vote_right is not None:
        parts.append(_mark(question.vote_right))
    parts += _student(question)
    rest = [f"{n} dropped" + (f" ({DROPPED.get(why, line(why, 30))})" if why else "") for why, n in question.dropped]
    rest += [f"{question.unparsed} unparsed"] if question.unparsed else []
    if rest:
        parts.append(Content.styled(" · " + ", ".join(rest), "dim"))
    return Content.assemble(*parts)


def _student(question: Question) -> list[Content]:
    """What the student answered, and when it was asked."""
    if question.student_step is None:
        unasked = "not asked yet" if question.followed else "not asked: not followed"
        return [Content.styled(f" · student {unasked}", "dim")]
    when = "now" if question.step is None or question.step == question.visits[-1] else "then"
    parts = [Content.styled(f" · student {when} ", "dim"), Content(line(question.student_answer or "no answer", 60))]
    if question.student_right is not None:
        parts.append(_mark(question.student_right))
    return [*parts, Content.styled(f" step {count(question.student_step)}", "dim")]


def _mark(right: bool) -> Content:
    return Content.styled(" ✓", "$success") if right else Content.styled(" ✗", "$error")


def negatives_title(question: Question) -> Content:
    """How many, and how many of earlier selves are not shown."""
    earlier = f" · {question.earlier} of other iterations" if question.earlier else ""
    return Content(heading("−", "negatives", question.negatives) + earlier)


def chosen_parting(question: Question) -> Parting | None:
    """Where the chosen negative leaves the right reasoning."""
    negative = next((c for c in question.negatives if c.chosen), None)
    if negative is None or not question.positives:
        return None
    wrong = paragraph(negative.text, COMPARED)
    # the positive it is nearest to: against another phrasing every word would differ, and the slip be lost among them
    partings = [parting(paragraph(c.text, COMPARED), wrong) for c in question.positives]
    return min(partings, key=lambda apart: (apart.edits, -(apart.first or 0)))


def visit_title(question: Question) -> str:
    """Which visit of how many."""
    if question.step is None or not question.visits:
        return "this question over visits"
    at = question.visits.index(question.step) + 1 if question.step in question.visits else len(question.visits)
    kept = "" if question.followed else " (not followed: the last is kept)"
    return f"this question over visits · {at} of {len(question.visits)}, step {count(question.step)}{kept}"


def history(question: Question, width: int) -> Content:
    """Cross-entropies of the chosen pair and the student's answers, over time."""
    cells = max(4, min(30, (width - 50) // 3))
    parts: list[Content] = []
    for name, values, style in (
        ("CE chosen +", question.chosen_positive, "$success"),
        ("CE chosen −", question.chosen_negative, "$error"),
    ):
        last = three(values[-1]) if values else UNKNOWN
        parts.append(Content.assemble((f"{name} ", "dim"), (spark(values, cells), style), f" {last}"))
    answers = marks(question.answers, cells)
    parts.append(Content.assemble(("answer ", "dim"), answers or UNKNOWN))
    return Content("    ").join(parts)
