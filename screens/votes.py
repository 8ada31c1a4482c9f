"""Votes: what one among several answers of a run's student is worth, by plain count and weighed by a score."""

import sqlite3
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import Footer, Static

from engine.evaluation.accuracy_curve import Estimate, Point, curve
from engine.evaluation.weighted_vote import WEIGHTS, Weight
from engine.runs import evaluation_client
from engine.runs.evaluation_client import Wanted
from engine.store.runs.browse import Accuracy, RunRow, read_run
from engine.store.runs.curves import Curve
from engine.store.runs.evaluations import Evaluation, JudgeKey, read_ballots, read_evaluations, read_judges
from screens.ask import AskScreen
from screens.base import Look, View
from screens.doing.background import Background, Finished
from screens.keys.table import bindings
from screens.keys.twins import twin
from screens.reading.reader import Snapshot
from screens.widgets.chart import Chart
from screens.widgets.plot import Line
from screens.widgets.words import STATUS, accuracy, count, line

SAMPLES, MOST = 16, 1024
LABELS_ALONE = ("finetune", "single-task")
"""Methods of the predict head alone."""
NOTHING = (
    "No answers were drawn of this run's student yet.\n\nn draws some; in a terminal: qcrd evaluate {run}\n\n"
    "Votes may be weighed by a ranking model (a run of the method ranking) or by QCRD's discriminator."
)
A_MODEL = (
    "This run trained a ranking model: it answers no questions.\n\n"
    "It weighs votes of a student's run on the same data: open that run's votes (e), v takes this model."
)


@dataclass(frozen=True, slots=True)
class VotesWatch:
    """A run, which of its evaluations (the newest is 0), whose scores, and what they count."""

    run_id: int | None
    place: int
    judge: int | None
    weight: Weight

    def read(self, con: sqlite3.Connection, kept: dict[str, Any]) -> "VotesSeen | None":
        """None where there is no such run. Votes are counted again only where answers or scores are new."""
        run = None if self.run_id is None else read_run(con, self.run_id)
        if run is None:
            return None
        evaluations = read_evaluations(con, run.id)
        judges = read_judges(con, run.id)
        at = max(0, min(self.place, len(evaluations) - 1))
        if not evaluations:
            return VotesSeen(run, evaluations, at, judges, None, 0, (), 0)
        one = evaluations[at]
        scores = next(((key, n) for key, n in one.judges if key.run_id == self.judge), None)
        known = (one, scores, self.judge, self.weight)
        if kept.get("votes", (None,))[0] != known:
            key, scored = scores or (None, 0)
            if one.whole and (self.judge is None or key is not None):
                found = read_ballots(con, one.id, one.questions, one.whole, key)
                points = tuple(curve(found.ballots, one.whole, self.weight if key else "1"))
            else:
                points = ()
            kept["votes"] = (known, key, scored, points)
        _, key, scored, points = kept["votes"]
        return VotesSeen(run, evaluations, at, judges, key, scored, points, points[0].questions if points else 0)

    def at(self, content: "VotesSeen", now: float) -> "VotesSeen":
        """Nothing about it grows old."""
        return content


@dataclass(frozen=True, slots=True)
class VotesSeen:
    """What a VotesWatch reads."""

    run: RunRow
    evaluations: tuple[Evaluation, ...]
    at: int
    judges: tuple[tuple[int, str], ...]
    """Runs that can judge, with their methods."""
    judge: JudgeKey | None
    """Whose scores weigh these votes."""
    scored: int
    points: tuple[Point, ...]
    told: int
    """Questions behind them."""

    @property
    def evaluation(self) -> Evaluation | None:
        """The one that is shown."""
        return self.evaluations[self.at] if self.evaluations else None


class VotesScreen(View):
    """A chart and a table of accuracy against the number of answers."""

    CSS_PATH = "votes.tcss"
    PLACE = "votes"
    AUTO_FOCUS = ""
    BINDINGS = bindings("votes")

    def __init__(self, database: Path) -> None:
        super().__init__()
        self._database = database
        self.run_id: int | None = None
        self.origin = "runs"
        """The place one came from."""
        self._place = 0
        self._judge: int | None = None
        self._weight: Weight = "s"
        self._seen: VotesSeen | None = None
        self._job: Background | None = None
        self._drawing: Wanted | None = None
        """What the job is about."""

    def compose(self) -> ComposeResult:
        """The chart above, the table below; side by side where there is room."""
        yield self.problem()
        yield Static("", id="head", markup=False)
        yield Static("", id="state", markup=False)
        yield Static("", id="empty", markup=False)
        with Container(id="body"):
            yield Chart("accuracy", id="chart")
            with VerticalScroll(id="table", can_focus=False):
                yield Static("", markup=False)
        yield Footer(show_command_palette=False)

    def open(self, run_id: int, origin: str) -> None:
        """Show that run's votes from now on."""
        if origin != "votes":
            self.origin = origin
        if run_id != self.run_id:
            self.run_id, self._place, self._judge, self._seen = run_id, 0, None, None

    def close(self) -> None:
        """End what is being drawn; what was drawn is stored."""
        if self._job is not None:
            self._job.stop()
            self._job.join(2)

    def wanted(self) -> VotesWatch:
        """This run, evaluation, judge and weight."""
        return VotesWatch(self.run_id, self._place, self._judge, self._weight)

    def blanks(self) -> dict[str, str]:
        """The run."""
        return {} if self.run_id is None else {"RUN": str(self.run_id)}

    def show(self, snapshot: Snapshot) -> None:
        """Draw what was read."""
        seen: VotesSeen | None = snapshot.content
        if seen is None:
            if snapshot.problem is None:
                self.show_problem(f"there is no run {self.run_id} in this database: 1 shows those there are")
            return
        self._seen = seen
        run, one = seen.run, seen.evaluation
        glyph, style = STATUS[run.status]
        made_of = " · ".join(line(part, 40) for part in (run.method, run.student))
        head = Content.assemble((f"{glyph} ", style), (line(run.name, 50), "bold"), (f"  {made_of}", "dim"))
        self.query_one("#head", Static).update(head)
        self.set_class(one is None, "-empty")
        words = A_MODEL if run.method == "ranking" else NOTHING.format(run=run.id)
        self.query_one("#empty", Static).update(Content(words))
        self._draw_state()
        if one is None:
            return
        chart, table = self.query_one(Chart), self.query_one("#table", VerticalScroll)
        judge = self._named(self._judge)
        lines = [Line("count", "c", "$text-primary", _curve("count", seen.points))]
        if seen.judge is not None:
            lines.append(Line(f"weighed {self._weight}", "w", "$text-success", _curve("weighted", seen.points)))
        title = f"accuracy of 1 to {one.whole} answers" if seen.points else "accuracy"
        chart.show(tuple(lines), title=title)
        table.border_title = Content(f"votes · {line(judge, 60)}")
        table.query_one(Static).update(self._table(seen, one))

    def _draw_state(self) -> None:
        """What was drawn, and what is going on."""
        seen = self._seen
        one = None if seen is None else seen.evaluation
        parts = []
        if seen is not None and one is not None:
            d = one.drawing
            total = one.questions * one.samples
            place = f"evaluation {seen.at + 1} of {len(seen.evaluations)} · " if len(seen.evaluations) > 1 else ""
            parts.append(
                f"{place}{line(d.split, 20)} · {d.head} · temperature {d.temperature:g} · {count(one.drawn)} of "
                f"{count(total)} answers"
            )
            if seen.judge is not None and seen.scored < one.drawn:
                parts.append(f"{count(seen.scored)} of them scored")
        if self._job is not None and self._drawing is not None:
            parts.append(f"● drawing {self._drawing.samples} of each (run {self._drawing.run_id}); x stops")
        self.query_one("#state", Static).update(Content("   ".join(parts)))

    def _named(self, judge: int | None) -> str:
        if judge is None:
            return "each counts 1"
        methods = dict(self._seen.judges if self._seen is not None else ())
        kind = "discriminator" if methods.get(judge) == "qcrd" else "ranking model"
        return f"weighed {self._weight} by the {kind} of run {judge}"

    def _table(self, seen: VotesSeen, one: Evaluation) -> Content:
        if not seen.points:
            if self._judge is not None and one.whole:
                return Content("Not scored by this judge yet: n has that done.")
            return Content(
                "No question has all its answers yet, or none has a gold answer: votes are told as they can be."
            )
        judged = seen.judge is not None
        header = f"{'answers':>7}  {'count':>10}" + (f"  {'weighed':>10}  difference" if judged else "")
        rows = [Content.styled(header, "bold")]
        for p in seen.points:
            row = f"{count(p.samples):>7}  {_share(p.count):>10}"
            if judged:
                d = p.difference
                told = f"{d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}]".replace("-", "−")
                row += f"  {_share(p.weighted):>10}  {told}"
            rows.append(Content(row))
        of = f"{count(seen.told)} of {count(one.questions)} questions"
        rows.append(Content.styled(f"\n{of}; 95 % intervals, differences paired by question", "dim"))
        return Content("\n").join(rows)

    def _look(self) -> None:
        self.post_message(Look())

    def action_other(self, by: int) -> None:
        """Another evaluation of the run."""
        if self._seen is not None:
            self._place = max(0, min(self._seen.at + by, len(self._seen.evaluations) - 1))
            self._look()

    def action_judge(self) -> None:
        """Nobody, then each that can judge."""
        if self._seen is None:
            return
        choices: list[int | None] = [None, *(run_id for run_id, _ in self._seen.judges)]
        one = self._seen.evaluation
        choices += [key.run_id for key, _ in (one.judges if one is not None else ()) if key.run_id not in choices]
        if len(choices) == 1:
            self.notify("nothing can judge this run's answers: train a ranking model on its data", severity="warning")
            return
        at = choices.index(self._judge) if self._judge in choices else 0
        self._judge = choices[(at + 1) % len(choices)]
        self._look()

    def action_weigh(self) -> None:
        """The next weight."""
        weights = WEIGHTS[1:]
        self._weight = weights[(weights.index(self._weight) + 1) % len(weights)]
        if self._judge is None:
            self.notify(f"weight {self._weight}: v says whose score s is", markup=False)
        self._look()

    def action_draw(self) -> None:
        """Ask how many, then begin."""
        seen = self._seen
        if seen is None:
            return
        if seen.run.method == "ranking":
            self.notify("a ranking model answers no questions", severity="warning")
            return
        if self._job is not None:
            self.notify("answers are being drawn already: x stops", severity="warning")
            return
        one = seen.evaluation
        unscored = self._judge is not None and (seen.judge is None or (one is not None and seen.scored < one.drawn))
        more = one is not None and one.whole == one.samples and not unscored
        value = SAMPLES if one is None else 2 * one.samples if more else one.samples
        detail = "of each question, those that are there with them; a process of its own draws them"
        self.app.push_screen(AskScreen("How many answers", detail, str(value)), self._begin)

    def _begin(self, typed: str | None) -> None:
        if not typed or self.run_id is None or self._seen is None:
            return
        if not (typed.isascii() and typed.isdigit() and 1 <= int(typed) <= MOST):
            self.notify(f"a number from 1 to {MOST}", severity="warning")
            return
        one = self._seen.evaluation
        if one is None:
            head: evaluation_client.Head = "predict" if self._seen.run.method in LABELS_ALONE else "explain"
            wanted = Wanted(self.run_id, int(typed), head, judge=self._judge)
        else:
            d = one.drawing
            head = "predict" if d.head == "predict" else "explain"
            wanted = Wanted(self.run_id, int(typed), head, d.split, one.questions, d.temperature, self._judge)
        self._drawing = wanted
        self._job = Background(self, partial(_evaluate, self._database, wanted))
        self._draw_state()

    def action_stop(self) -> None:
        """No more after the batch under way."""
        if self._job is not None:
            self._job.stop()

    def on_finished(self, message: Finished) -> None:
        """It is over."""
        if message.job is not self._job:
            return
        message.stop()
        self._job = self._drawing = None
        if message.error is not None:
            stopped = message.error.startswith("stopped")
            text = "stopped: n goes on" if stopped else line(message.error, 400)
            self.notify(text, severity="information" if stopped else "error", markup=False)
        self._draw_state()
        self._look()

    def action_copy(self) -> None:
        """Copy the command line that tells the same."""
        self.app.copy_to_clipboard(text := twin(self._database, self._command()))
        self.notify(f"copied: {line(text, 400)}", markup=False)

    def _command(self) -> str:
        parts = [f"evaluate {self.run_id}"]
        one = None if self._seen is None else self._seen.evaluation
        if one is not None:
            d = one.drawing
            parts.append(f"--samples {one.samples} --limit {one.questions} --temperature {d.temperature:g}")
            parts += [f"--head {d.head}"] if d.head != "explain" else []
            parts += [f"--split {d.split}"] if d.split != "test" else []
        if self._judge is not None and self._seen is not None:
            asc = dict(self._seen.judges).get(self._judge) != "qcrd"
            parts.append(f"--vote {'asc' if asc else 'discriminator'} --ranking {self._judge} --weight {self._weight}")
        return " ".join(parts)

    async def action_leave(self) -> None:
        """Back."""
        await self.run_action(f"app.go('{self.origin}')")


def _evaluate(database: Path, wanted: Wanted, stop: threading.Event) -> Any:
    return evaluation_client.evaluate(database, wanted, lambda step: None, lambda: int(stop.is_set()))


def _curve(name: str, points: tuple[Point, ...]) -> Curve:
    values = tuple(p.count.value if name == "count" else p.weighted.value for p in points)
    return Curve(name, tuple(p.samples for p in points), values)


def _share(value: Estimate) -> str:
    return accuracy(Accuracy(value.value, value.low, value.high))
