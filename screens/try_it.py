"""Try it: a run's student is asked a question, by a process of its own; what is known of the question beside it."""

import shlex
import time
from bisect import bisect_left
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from engine.evaluation.reply import SAMPLES, TEMPERATURE, Asked, Doing, Failed, Over, Piece, Ready, Reply, Told, Votes
from engine.runs import launch
from engine.runs.inference_client import InferenceClient
from engine.store.rationales.known import Known, find_example
from engine.store.runs.browse import read_run
from screens.base import Ask, Look, View
from screens.keys.table import bindings, key_of
from screens.keys.twins import twin
from screens.reading.reader import Answer, Reader, Snapshot
from screens.reading.try_reading import Seen, TryWatch
from screens.widgets.answers import Exchange, known_text, student_text, student_title
from screens.widgets.footer import Footer
from screens.widgets.question_field import LONGEST, QuestionField
from screens.widgets.words import STATUS, count, line, paragraph

TEMPERATURES = (0.3, TEMPERATURE, 1.0, 1.5)
MOST_SAMPLES = 64


@dataclass(frozen=True, slots=True)
class Found:
    """What was looked up before a question is asked."""

    run_id: int
    text: str
    example: str | None
    samples: int
    problem: str | None
    """Why it cannot be asked."""


class Replied(Message):
    """The inference worker has said something."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


class TryScreen(View):
    """A question above, the student's answers and what is known of it below."""

    CSS_PATH = "try_it.tcss"
    PLACE = "try"
    AUTO_FOCUS = ""  # it depends on where one comes from
    BINDINGS = bindings("try")
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012

    def __init__(self, database: Path) -> None:
        super().__init__()
        self._database = database
        self.client = InferenceClient(database, lambda reply: self.post_message(Replied(reply)))
        self.run_id: int | None = None
        self.origin = "runs"
        """The place one came from."""
        self._example: str | None = None
        self._filled = ""
        """What was last put into the field."""
        self._put: str | None = None
        """The question that the field was filled with."""
        self._typing = True
        """Whether the field is to have the focus when the screen is shown."""
        self._split = ""
        self._seen: Seen | None = None
        self._number = 0
        self._samples, self._temperature = SAMPLES, TEMPERATURE
        self.exchange: Exchange | None = None

    def compose(self) -> ComposeResult:
        """The question, and the two sides."""
        yield self.problem()
        yield Static("", id="head", markup=False)
        with Vertical(id="ask-pane"):
            yield QuestionField(id="field")
        with Container(id="body"):
            for name in ("student", "known"):
                with VerticalScroll(id=name):
                    yield Static("", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """What takes long says for how long."""
        super().on_mount()
        self._ticks = self.set_interval(1.0, self._draw_student, pause=True)

    def open(self, run_id: int, example: str | None, origin: str) -> None:
        """Ask that run's student from now on; `example`: this question of its data."""
        self.origin = origin
        if run_id != self.run_id:
            self._seen, self.exchange, self._split = None, None, ""
            if self._example is not None:  # of another run's data, perhaps
                self._example, self._put = None, None
        self.run_id = run_id
        if example is not None:
            self._example, self._put, self.exchange = example, None, None
        self._typing = example is None

    def close(self) -> None:
        """End the process that answers."""
        self.client.close()

    def on_screen_resume(self) -> None:
        """Somebody looks."""
        super().on_screen_resume()
        self.client.wake()
        self.set_focus(self._field if self._typing else None)
        self._draw_student()

    def on_screen_suspend(self) -> None:
        """Nobody does."""
        self._typing = self._field.has_focus
        self.client.rest()

    def wanted(self) -> TryWatch:
        """This question."""
        return TryWatch(self.run_id, self._example)

    def blanks(self) -> dict[str, str]:
        """The run, and the question in the field."""
        found = {} if self.run_id is None else {"RUN": str(self.run_id)}
        text = self._field.text.strip() if self.is_mounted else ""
        return found | ({"TEXT": shlex.quote(text)} if text else {})

    def show(self, snapshot: Snapshot) -> None:
        """Draw what is known."""
        seen: Seen | None = snapshot.content
        if seen is None:
            if snapshot.problem is None:
                self.show_problem(
                    f"there is no run {self.run_id} in this database: {key_of('all.runs')} shows those there are"
                )
            return
        self._seen = seen
        self._field.tell()
        run = seen.run
        glyph, style = STATUS[run.status]
        made_of = " · ".join(line(part, 40) for part in (run.method, run.student))
        head = Content.assemble((f"{glyph} ", style), (line(run.name, 50), "bold"), (f"  {made_of}", "dim"))
        self.query_one("#head", Static).update(head)
        known = seen.known
        if known is not None and known.example == self._example:
            self._split = known.split
            if self._put != known.example:
                self._put, self._filled = known.example, paragraph(known.text, LONGEST)
                self._field.put(self._filled)
        self._draw_known()

    @property
    def _field(self) -> QuestionField:
        return self.query_one(QuestionField)

    def _draw_known(self) -> None:
        known = None if self._seen is None else self._seen.known
        if known is not None and known.example != self._example:
            known = None
        side = self.query_one("#known", VerticalScroll)
        width = max(10, side.scrollable_content_region.width)
        side.query_one(Static).update(
            known_text(
                known,
                self._example is None and self.exchange is not None and self.exchange.asked.example is None,
                width,
            )
        )
        side.border_title = Content("known" if known is None else f"known · {line(known.example, 40)}")
        pane = self.query_one("#ask-pane")
        pane.border_title = Content("question" if known is None or self._seen is None else self._place(known))

    def _place(self, known: Known) -> str:
        keys = self._keys(known.split)
        return f"question {count(bisect_left(keys, known.example) + 1)} of {count(len(keys))}, {line(known.split, 20)}"

    def _keys(self, split: str) -> tuple[str, ...]:
        return () if self._seen is None else dict(self._seen.splits).get(split, ())

    def on_resize(self) -> None:
        """Rationales have another width."""
        self.call_after_refresh(self._draw_known)

    def _draw_student(self) -> None:
        side = self.query_one("#student", VerticalScroll)
        side.border_title = student_title(self.exchange)
        exchange = self.exchange
        waited = 0.0 if exchange is None else time.monotonic() - exchange.since
        side.query_one(Static).update(student_text(exchange, waited))
        if exchange is not None and not exchange.over:
            side.scroll_end(animate=False)
            self._ticks.resume()
        else:
            self._ticks.pause()

    def on_text_area_changed(self) -> None:
        """What is typed is another question than the one that was taken."""
        if self._put is not None and self._field.text.strip() != self._filled.strip():
            self._example = self._put = None
            self.post_message(Look())

    def on_question_field_submitted(self) -> None:
        """Enter in the field."""
        self._ask(0)

    def action_ask(self) -> None:
        """Both heads' greedy answers."""
        self._ask(0)

    def action_draw(self) -> None:
        """Several answers of each head, and their vote."""
        self._ask(self._samples)

    def _ask(self, samples: int) -> None:
        text = self._field.text.strip()
        if not text or self.run_id is None:
            told = f"type a question first, or take one of the run's with {key_of('try.next')}"
            self.notify(told, severity="warning", markup=False)
            self._field.focus()
            return
        job = partial(_look_up, run_id=self.run_id, text=text[:LONGEST], example=self._example, samples=samples)
        self.post_message(Ask(job))

    def answered(self, answer: Answer) -> None:
        """It was looked up: ask it."""
        found: Found = answer.result
        if found.run_id != self.run_id:
            return
        if found.problem is not None:
            self.notify(line(found.problem, 400), severity="error", markup=False)
            return
        self._number += 1
        asked = Asked(self._number, found.run_id, found.text, found.example, found.samples, self._temperature)
        self.exchange = Exchange(asked, time.monotonic())
        if found.example != self._example:
            self._example = self._put = found.example
            self._filled = self._field.text
            self.post_message(Look())
        self.client.ask(asked)
        self._draw_student()
        self._draw_known()

    def on_replied(self, message: Replied) -> None:
        """Take what the worker says to the last question."""
        reply, exchange = message.reply, self.exchange
        if exchange is None or reply.id != exchange.asked.id or exchange.over:
            return
        if isinstance(reply, Doing):
            exchange.doing = reply.text
        elif isinstance(reply, Ready):
            exchange.ready = reply
            exchange.doing = f"drawing {exchange.asked.samples} answers"
        elif isinstance(reply, Piece):
            exchange.pieces[reply.head] = reply.text
        elif isinstance(reply, Told):
            exchange.told[reply.head] = reply
        elif isinstance(reply, Votes):
            exchange.votes[reply.head] = reply
        elif isinstance(reply, Failed):
            exchange.failed = reply.error
        else:
            assert isinstance(reply, Over)
            exchange.over = True
        self._draw_student()

    def action_stop(self) -> None:
        """No more of this answer."""
        if self.exchange is not None and not self.exchange.over:
            self.exchange.over = True
            self.client.stop()
            self._draw_student()

    def action_question(self, by: int) -> None:
        """Another question of the run's data."""
        if self._seen is None or not self._seen.splits:
            self.notify("this run has no questions yet", severity="warning", markup=False)
            return
        split = self._split or self._seen.splits[0][0]
        keys = self._keys(split)
        at = bisect_left(keys, self._example) + by if self._example is not None else 0
        self._take(keys[max(0, min(at, len(keys) - 1))])

    def action_end(self, last: bool) -> None:
        """The first or last question of the split."""
        if self._seen is not None and self._seen.splits:
            keys = self._keys(self._split or self._seen.splits[0][0])
            self._take(keys[-1 if last else 0])

    def action_split(self) -> None:
        """The first question of the next split."""
        if self._seen is not None and self._seen.splits:
            names = [name for name, _ in self._seen.splits]
            at = names.index(self._split) + 1 if self._split in names else 0
            self._split = names[at % len(names)]
            self._take(self._keys(self._split)[0])

    def _take(self, example: str) -> None:
        if example != self._example or self._put is None:
            self.action_stop()
            self._example, self._put, self.exchange = example, None, None
            self._draw_student()
            self.post_message(Look())

    def action_edit(self) -> None:
        """To the field."""
        self._field.focus()

    async def action_leave(self) -> None:
        """Out of the field; else back."""
        if self._field.has_focus:
            self.set_focus(None)
        else:
            await self.run_action(f"app.go('{self.origin}')")

    def action_samples(self, up: bool) -> None:
        """Twice as many samples, or half."""
        self._samples = max(2, min(MOST_SAMPLES, self._samples * 2 if up else self._samples // 2))
        self._tell_drawing()

    def action_temperature(self) -> None:
        """The next temperature."""
        at = TEMPERATURES.index(self._temperature) + 1
        self._temperature = TEMPERATURES[at % len(TEMPERATURES)]
        self._tell_drawing()

    def _tell_drawing(self) -> None:
        self.notify(
            f"{key_of('try.vote')} draws {self._samples} answers of each head at {self._temperature:g}", markup=False
        )

    def action_scroll(self, by: int) -> None:
        """Scroll the side in focus, or what is known."""
        focused = self.focused
        side = focused if isinstance(focused, VerticalScroll) else self.query_one("#known", VerticalScroll)
        side.scroll_relative(y=by, animate=False)

    def action_copy(self) -> None:
        """Copy the command line that asks the same."""
        text = self._field.text.strip()
        of = f"--id {shlex.quote(self._example)}" if self._example is not None else shlex.quote(text)
        asked = self.exchange.asked if self.exchange is not None else None
        drawn = f" --samples {asked.samples} --temperature {asked.temperature:g}" if asked and asked.samples else ""
        command = twin(self._database, f"try {self.run_id} {of}{drawn}")
        self.app.copy_to_clipboard(command)
        self.notify(f"copied: {line(command, 400)}", markup=False)


def _look_up(reader: Reader, run_id: int, text: str, example: str | None, samples: int) -> Answer:
    """Whether the run has a student at all, and which of its questions this is."""
    problem = None
    run = reader.read(lambda con, kept: read_run(con, run_id))
    if run is not None and run.method == "ranking":
        problem = f"run {run_id} is a ranking model: it answers nothing, and weighs votes of a student's run (e there)"
    elif not launch.has_student(reader.database, run_id):
        problem = f"run {run_id} has no student to ask: there is no checkpoint yet"
    elif example is None:
        example = reader.read(lambda con, kept: find_example(con, run_id, text))
    return Answer("try", Found(run_id, text, example, samples, problem))
