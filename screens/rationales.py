"""The rationale screen: one question, what pulls the student beside what it is pushed from."""

import shlex
from bisect import bisect_left, bisect_right
from dataclasses import replace
from functools import partial

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.widgets import Input, Static

from engine.errors import UsageError
from engine.store.rationales.filter import Filter, parse
from engine.store.rationales.notes import NOTE_LENGTH, QUESTION
from engine.store.rationales.questions import Question
from engine.store.rationales.search import pattern
from screens.base import Ask, Look, TryIt, View
from screens.keys.table import bindings, hints, key_of
from screens.reading.rationale_reading import (
    Found,
    RationalesWatch,
    Seen,
    annotate,
    filtered,
    find,
    into,
    mark,
    to_followed,
)
from screens.reading.reader import Answer, Snapshot
from screens.remembered.kept import RationalesKept
from screens.widgets.foot_line import FootLine
from screens.widgets.footer import Footer
from screens.widgets.pair import Drawing, heading, limit
from screens.widgets.parting import Side
from screens.widgets.question import negatives_title, place, title, top_text
from screens.widgets.rationale_pane import Pane, Picked
from screens.widgets.reasons import reasons
from screens.widgets.steady import entitle, tell
from screens.widgets.target import Target, target_of
from screens.widgets.visits import history, visit_title
from screens.widgets.words import count, line

NOTHING = (
    "This run has no rationales yet.\n\n"
    "They appear once the teacher's samples have been voted on;\n"
    "finetune learns from gold answers alone and never has any.\n\n{} goes back to the run"
)


class RationalesScreen(View):
    """One question of a run at a time."""

    CSS_PATH = "rationales.tcss"
    AUTO_FOCUS = "#positives"
    PLACE = "rationales"
    BINDINGS = bindings("rationales")
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.run_id: int | None = None
        self._index: int | None = None
        self._step: int | None = None
        self._seen: Seen | None = None
        self._words = ""
        self._match = ""
        self._filter = self._told = Filter()
        """What lets questions in, and what it was when one was last drawn."""
        self._cursor: int | None = None
        self._drawn: tuple[int, str] | None = None
        """The question on screen: another begins at its top."""
        self.kept: RationalesKept = RationalesKept()

    def compose(self) -> ComposeResult:
        """Question above, the two sides, its history below."""
        yield self.problem()
        yield Static("", id="empty", markup=False)
        yield Static("", id="question", markup=False)
        with Container(id="panes"):
            for name in ("positives", "negatives"):
                pane = Pane(id=name)
                pane.border_subtitle = Content(hints("rationales", name))
                yield pane
        below = Static("", id="history", markup=False)
        below.border_subtitle = Content(hints("rationales", "history"))
        yield below
        yield FootLine(id="search")
        yield Footer()

    def open(self, run_id: int) -> None:
        """Show that run's questions from now on."""
        if run_id != self.run_id:
            self.run_id, self._index, self._step, self._seen = run_id, None, None, None
            self._filter, self._match, self._cursor = Filter(), "", None

    def recall(self, kept: RationalesKept) -> None:
        """Look as it was left."""
        self.kept = kept
        self._redraw()

    def blanks(self) -> dict[str, str]:
        """The run and the question; the rationale under the cursor."""
        found = {} if self.run_id is None else {"RUN": str(self.run_id)}
        if self._question is not None:
            found["QUESTION"] = shlex.quote(self._question.example)
        target = self._target()
        if target is not None:
            found["RATIONALE"] = "" if target.number == QUESTION else str(target.number)
        return found

    def wanted(self) -> RationalesWatch:
        """This question at this visit."""
        return RationalesWatch(self.run_id, self._index, self._step, self._filter)

    @property
    def _line(self) -> FootLine:
        return self.query_one(FootLine)

    @property
    def _question(self) -> Question | None:
        return None if self._seen is None else self._seen.question

    def draws(self, snapshot: Snapshot) -> bool:
        """Its neighbours alone are nothing to draw."""
        return snapshot.problem is not None or snapshot.content is None or self._is_new(snapshot.content)

    def _is_new(self, seen: Seen) -> bool:
        before = self._seen
        return before is None or self._filter != self._told or replace(before, beside=()) != replace(seen, beside=())

    def show(self, snapshot: Snapshot) -> None:
        """Draw the question."""
        seen: Seen | None = snapshot.content
        if seen is None and snapshot.problem is not None:
            if self._seen is None:
                self.query_one("#empty", Static).update("")
                self.add_class("-empty")
            return
        self.set_class(seen is None, "-empty")
        new = seen is not None and self._is_new(seen)
        self._seen = seen
        if seen is None:
            self.query_one("#empty", Static).update(Content(NOTHING.format(key_of("all.live"))))
        elif new:
            self._draw(seen)

    def _draw(self, seen: Seen) -> None:
        question, self._told = seen.question, self._filter
        if (question.run_id, question.example) != self._drawn:
            self._drawn = (question.run_id, question.example)
            for pane in self.query(Pane):
                if pane.scroll_offset.y:  # to where it is, it would be drawn again for nothing
                    pane.scroll_home(animate=False)
        found = pattern(self._words)
        top = self.query_one("#question", Static)
        entitle(top, title(question))
        top.border_subtitle = place(question, self._match, filtered(seen, self._filter))
        tell(top, top_text(question, found))
        marks: dict[int, Side] = {}
        if seen.apart is not None:
            sides = (seen.apart.parting.positive, seen.apart.parting.negative)
            if not self.kept.difference:
                sides = (replace(sides[0], words=frozenset()), replace(sides[1], words=frozenset()))
            marks = {seen.apart.positive: sides[0], seen.apart.negative: sides[1]}
        drawing = Drawing(
            marks=marks,
            reasons=reasons(question),
            found=found,
            cursor=self._cursor,
            visited=question.step is not None,
            wrap=self.kept.wrap,
            limit=limit(question, self.maximized is not None),
        )
        for name, candidates, aside in (
            ("#positives", question.positives, ()),
            ("#negatives", question.negatives, question.aside),
        ):
            pane = self.query_one(name, Pane)
            pane.candidates, pane.aside, pane.drawing = candidates, aside, drawing
            pane.draw()
        entitle(self.query_one("#positives"), Content(heading("+", "positives", question.positives)))
        entitle(self.query_one("#negatives"), negatives_title(question))
        self._draw_history()

    def _redraw(self) -> None:
        if self._seen is not None:
            self._draw(self._seen)

    def on_resize(self) -> None:
        """The history has another width, and perhaps another height."""
        self._draw_history()

    def _draw_history(self) -> None:
        if self._question is not None:
            pane = self.query_one("#history", Static)
            entitle(pane, Content(visit_title(self._question)))
            tell(pane, history(self._question, self.width - 4, self.has_class("-tall")))

    def _go(self, index: int) -> None:
        if self._question is None:
            return
        index = max(0, min(index, self._question.count - 1))
        if index != self._place():
            self._index, self._step, self._cursor = index, None, None
            if self._show_held(index):
                self.call_after_refresh(self.post_message, Look())  # to read it now would keep its frame waiting
            else:
                self.post_message(Look())

    def _show_held(self, index: int) -> bool:
        """The question at that place as it is known until it is read; the one before stays known beside it."""
        before = self._seen
        for seen in () if before is None else (before, *before.beside):
            if before is not None and seen.question.index == index:
                self._seen = seen if seen is before else replace(seen, beside=(replace(before, beside=()),))
                self._draw(self._seen)
                return True
        return False

    def action_question(self, by: int) -> None:
        """Next or previous question, of those that the filter lets in."""
        self._match = ""
        matches = None if self._seen is None else self._seen.matches
        if matches is None:
            self._go(self._place() + by)
        elif by > 0 and (at := bisect_right(matches, self._place())) < len(matches):
            self._go(matches[at])
        elif by < 0 and (at := bisect_left(matches, self._place())) > 0:
            self._go(matches[at - 1])

    def _place(self) -> int:
        """Where we are: a key may be faster than what it shows."""
        if self._index is not None:
            return self._index
        return 0 if self._question is None else self._question.index

    def action_followed(self) -> None:
        """The next question that is followed: each visit of it is kept, and the student asked for it."""
        if self.run_id is not None:
            self.post_message(Ask(partial(to_followed, run_id=self.run_id, after=self._place())))

    def action_first(self) -> None:
        """The first question, of those that the filter lets in."""
        matches = None if self._seen is None else self._seen.matches
        if matches is None or matches:
            self._go(matches[0] if matches else 0)

    def action_last(self) -> None:
        """The last question, of those that the filter lets in."""
        if self._seen is not None and (self._seen.matches is None or self._seen.matches):
            self._go(self._seen.matches[-1] if self._seen.matches else self._seen.question.count - 1)

    def action_visit(self, by: int) -> None:
        """An earlier or later visit; the last one follows the run."""
        question = self._question
        if question is None or not question.visits:
            return
        shown = question.step if self._step is None else self._step
        at = question.visits.index(shown) if shown in question.visits else len(question.visits) - 1
        at = max(0, min(at + by, len(question.visits) - 1))
        follows = at == len(question.visits) - 1 and not self._filter.of_visits
        self._step = None if follows else question.visits[at]
        if not question.followed and len(question.visits) < 2:
            self.notify("only the last visit of this question is kept: it is not among the followed", markup=False)
        self.post_message(Look())

    def action_try_it(self) -> None:
        """Ask the student this question."""
        if self.run_id is not None and self._question is not None:
            self.post_message(TryIt(self.run_id, self._question.example))

    def action_wrap(self) -> None:
        """Wrap, or not."""
        self._keep(wrap=not self.kept.wrap)

    def action_difference(self) -> None:
        """Mark the words that differ, or only where the pair parts company."""
        self._keep(difference=not self.kept.difference)

    def action_maximise(self) -> None:
        """The pane alone with all of its texts, and back."""
        if self.maximized is not None:
            self.minimize()
        else:
            self.maximize(self._pane())
        self._redraw()

    def action_down(self) -> None:
        """Scroll the pane in focus."""
        self._pane().scroll_relative(y=1, animate=False)

    def action_up(self) -> None:
        """Scroll the pane in focus."""
        self._pane().scroll_relative(y=-1, animate=False)

    def action_side(self, name: str) -> None:
        """To one of the two sides."""
        self.set_focus(self.query_one(f"#{name}"))  # at once: the next key may be for it

    def _pane(self) -> Pane:
        return self.focused if isinstance(self.focused, Pane) else self.query_one("#positives", Pane)

    def action_rationale(self, by: int) -> None:
        """Next or previous rationale of the pane: flag and note are for it; before the first: for the question."""
        pane = self._pane()
        numbers = [None, *(c.number for c in (*pane.candidates, *pane.aside))]
        at = numbers.index(self._cursor) if self._cursor in numbers else 0
        self._cursor = numbers[max(0, min(at + by, len(numbers) - 1))]
        self._redraw()
        pane.go_to(-1 if self._cursor is None else self._cursor)

    def on_picked(self, message: Picked) -> None:
        """Flag and note are for the rationale that was clicked."""
        self._cursor = message.number
        self._redraw()

    def _target(self) -> Target | None:
        return None if self._question is None else target_of(self._question, self._cursor)

    def action_flag(self) -> None:
        """Flag it, or take the flag away."""
        target = self._target()
        if target is not None and self.run_id is not None and self._question is not None:
            job = partial(mark, run_id=self.run_id, example=self._question.example)
            self.post_message(Ask(partial(job, number=target.number, name=target.name, flagged=not target.flagged)))

    def action_note(self) -> None:
        """Write beside it."""
        target = self._target()
        if target is not None:
            note = "" if target.note is None else line(target.note, NOTE_LENGTH)
            self._line.open("note", note, f"note beside {target.name}")

    def action_search(self) -> None:
        """Type words to look for."""
        self._line.open("search")

    def action_filter(self) -> None:
        """Type which questions to go through."""
        self._line.open("filter", "" if self._filter == Filter() else f"{self._filter} ")

    def action_search_next(self, by: int) -> None:
        """The next or previous match of the last search."""
        if self._words and self.run_id is not None:
            job = partial(find, run_id=self.run_id, after=self._place(), words=self._words)
            self.post_message(Ask(partial(job, by=by, wanted=self._filter)))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Look for the words, take the filter or the note."""
        what, text = self._line.what, event.value.strip()
        if what == "filter":
            try:
                wanted = parse(text)
            except UsageError as error:
                event.input.border_subtitle = Content(line(str(error), 200))
                return
            self.close_search()
            self._take(wanted)
            return
        target = self._target()
        self.close_search()
        if what == "search":
            self._words, self._match = text, ""
            self._redraw()
            self.action_search_next(1)
        elif target is not None and self.run_id is not None and self._question is not None:
            job = partial(annotate, run_id=self.run_id, example=self._question.example)
            self.post_message(Ask(partial(job, number=target.number, name=target.name, note=text)))

    def _take(self, wanted: Filter) -> None:
        """Go through these questions from now on; to the next of them where this one is not among them."""
        self._filter = wanted
        self.post_message(Look())
        if wanted != Filter() and self.run_id is not None:
            job = partial(into, run_id=self.run_id, place=self._place(), wanted=wanted)
            self.post_message(Ask(job))

    def close_search(self) -> bool:
        """Put the line at the foot away; False where it was not open."""
        if was_open := self._line.close():
            self.query_one("#positives").focus()
        return was_open

    def answered(self, answer: Answer) -> None:
        """Go where the search led."""
        found: Found = answer.result
        if found.run_id != self.run_id:
            return
        if found.match is None:
            self.notify(found.nowhere, severity="warning", markup=False)
            return
        if found.words:
            total, at = found.match.total, found.match.place
            self._match = "a match of many" if total is None else f"match {count(at)} of {count(total)}"
        if found.match.index == self._place():
            self._redraw()
        self._go(found.match.index)
