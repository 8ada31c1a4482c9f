"""The live screen: is it learning? Stages with progress and time left, curves, and the end of the log."""

import sqlite3
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Footer, RichLog, Static, Tab, Tabs

from engine.errors import ANOTHER_RUN
from engine.store.browse import Live, LiveReader, Stage, with_clock
from engine.store.runs import Order
from screens.base import Ask, View
from screens.confirm import ConfirmScreen
from screens.curves import accuracies, last, losses
from screens.keys import bindings, hints
from screens.orders import order, resume
from screens.reader import Snapshot
from screens.runs import score_table
from screens.widgets.chart import Chart, Line
from screens.widgets.log_tail import LogTail
from screens.widgets.words import STAGE, STATUS, UNKNOWN, bar, count, duration, line, three, two

TABS = ("charts", "stages", "log")


@dataclass(frozen=True, slots=True)
class LiveWatch:
    """One run, as it goes."""

    run_id: int | None

    def read(self, con: sqlite3.Connection, kept: dict[str, Any]) -> Live | None:
        """The run; what is new of its log and curves is added to what was read before."""
        if self.run_id is None:
            return None
        reader: LiveReader | None = kept.get("live")
        if reader is None or reader.run_id != self.run_id:
            reader = kept["live"] = LiveReader(self.run_id)
        return reader.read(con)

    def at(self, content: Live, now: float) -> Live:
        """It may have gone stale."""
        return replace(content, run=with_clock(content.run, now))


class LiveScreen(View):
    """One run, as it goes."""

    CSS_PATH = "live.tcss"
    BINDINGS = bindings("live")

    def __init__(self) -> None:
        super().__init__()
        self.run_id: int | None = None
        self._live: Live | None = None
        self._smooth = True
        self._log_y = False

    def compose(self) -> ComposeResult:
        """Charts above, stages and log below; on a narrow terminal one of the three at a time."""
        yield self.problem()
        yield Static("", id="head", markup=False)
        yield Static("", id="strip", markup=False)
        yield Static("", id="state", markup=False)
        yield Tabs(*(Tab(Content(name.capitalize()), id=f"show-{name}") for name in TABS))
        with Vertical(id="charts"):
            with Horizontal(id="large"):
                yield Chart("accuracy", id="accuracy", bounds=(0.0, 1.0))
                loss = Chart("loss", id="loss")
                loss.border_subtitle = Content(hints("live", "loss"))
                yield loss
            with Horizontal(id="small"):
                yield Chart("quality", id="quality", bounds=(0.0, 1.0))
                yield Chart("active negatives", id="active", bounds=(0.0, 1.0))
                yield Chart("tokens/s", id="speed")
        with Horizontal(id="lower"):
            with VerticalScroll(id="stages", can_focus=False) as stages:
                stages.border_title = Content("Stages")
                yield Static("", markup=False)
            log = LogTail(id="log-pane")
            log.border_title = Content("Log")
            log.border_subtitle = Content(hints("live", "log"))
            yield log
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """The charts are the first tab."""
        self._on_tab("charts")

    def open(self, run_id: int) -> None:
        """Show that run from now on."""
        if run_id != self.run_id:
            self.run_id = run_id
            self._live = None

    def wanted(self) -> LiveWatch:
        """This run."""
        return LiveWatch(self.run_id)

    def show(self, snapshot: Snapshot) -> None:
        """Draw the run."""
        live: Live | None = snapshot.content
        if live is None:
            if snapshot.problem is None:
                self.show_problem(f"there is no run {self.run_id} in this database: 1 shows those there are")
            return
        self._live = live
        self.query_one("#head", Static).update(head(live, self.size.width))
        self.query_one("#strip", Static).update(strip(live, self.size.width))
        text = state_line(live)
        state = self.query_one("#state", Static)
        state.set_class(bool(text), "-shown")
        state.set_class(live.run.status == "failed", "-failed")
        state.update(text)
        self._draw_charts(live)
        self.query_one("#stages Static", Static).update(stage_table(live))
        self.query_one(LogTail).show(live.run.id, live.logs)

    def _draw_charts(self, live: Live) -> None:
        lines, title = accuracies(live)
        self.query_one("#accuracy", Chart).show(lines, title=title)
        self.query_one("#loss", Chart).show(losses(live), self._log_y, self._smooth)
        plus, minus = live.curve("quality/positive"), live.curve("quality/negative")
        self.query_one("#quality", Chart).show(
            (
                Line("", "+", "$text-success", plus, two(last(plus))),
                Line("", "−", "$text-error", minus, two(last(minus))),
            ),
            smooth=self._smooth,
        )
        active = live.curve("active_share")
        now = last(active)
        share = UNKNOWN if now is None else f"{100 * now:.0f} %"
        self.query_one("#active", Chart).show((Line("", "a", "$text-warning", active, share),), smooth=self._smooth)
        self.query_one("#speed", Chart).show((Line("", "t", "$text-primary", live.curve("tokens_per_second")),))
        pushed = live.run.method == "qcrd"
        judged = pushed and any(stage.name == "judge" for stage in live.stages)
        self.set_class(not pushed and plus is None and active is None, "-plain")
        for name, curve, coming in (("quality", plus, judged), ("active", active, pushed)):
            self.query_one(f"#{name}").display = coming or curve is not None

    def on_tabs_tab_activated(self, event: Tabs.TabActivated) -> None:
        """Another of the three."""
        if event.tab.id is not None:
            self._on_tab(event.tab.id.removeprefix("show-"))

    def _on_tab(self, shown: str) -> None:
        for name in TABS:
            self.set_class(name == shown, f"-on-{name}")

    def action_next_tab(self) -> None:
        """Charts, Stages, Log, and round again."""
        tabs = self.query_one(Tabs)
        if tabs.display:
            tabs.action_next_tab()

    def action_smooth(self) -> None:
        """Smooth the curves of single steps, or show every point."""
        self._smooth = not self._smooth
        self._redraw()

    def action_log_y(self) -> None:
        """Logarithmic axis of the losses, or not."""
        self._log_y = not self._log_y
        self._redraw()

    def _redraw(self) -> None:
        if self._live is not None:
            self._draw_charts(self._live)

    def on_resize(self) -> None:
        """Bars have another length."""
        if self._live is not None:
            self.query_one("#strip", Static).update(strip(self._live, self.size.width))
            self.query_one("#head", Static).update(head(self._live, self.size.width))

    def action_down(self) -> None:
        """Scroll the log."""
        self.query_one(RichLog).scroll_relative(y=1, animate=False)

    def action_up(self) -> None:
        """Scroll the log."""
        self.query_one(RichLog).scroll_relative(y=-1, animate=False)

    def action_top(self) -> None:
        """The log's oldest line."""
        self.query_one(RichLog).scroll_home(animate=False)

    def action_bottom(self) -> None:
        """The log's newest line."""
        self.query_one(RichLog).scroll_end(animate=False)

    def action_pause(self) -> None:
        """Pause; or go on."""
        status = self._status()
        if status in ("running", "paused"):
            self._order("resume" if status == "paused" else "pause")
        elif status:
            self._refuse("pause", status)

    def action_checkpoint(self) -> None:
        """Save a checkpoint now."""
        status = self._status()
        if status in ("running", "paused"):
            self._order("checkpoint")
        elif status:
            self._refuse("save", status)

    def action_stop(self) -> None:
        """Stop, after a question."""
        status = self._status()
        if status not in ("running", "paused"):
            if status:
                self._refuse("stop", status)
            return
        assert self._live is not None
        name = line(self._live.run.name, 40)
        self.app.push_screen(
            ConfirmScreen(f"Stop {name}?", "It saves a checkpoint first; r resumes it from there."),
            lambda yes: self._order("stop") if yes else None,
        )

    def action_resume(self) -> None:
        """A new worker for a run that has none."""
        status = self._status()
        if status == "paused":
            self._order("resume")
        elif status in ("queued", "interrupted", "failed", "stale"):
            assert self.run_id is not None
            self.post_message(Ask(partial(resume, run_id=self.run_id)))
        elif status:
            self._refuse("resume", status)

    def _status(self) -> str | None:
        return None if self._live is None or self._live.run.id != self.run_id else self._live.run.status

    def _order(self, name: Order) -> None:
        assert self.run_id is not None
        self.post_message(Ask(partial(order, run_id=self.run_id, name=name)))

    def _refuse(self, verb: str, status: str) -> None:
        self.notify(f"nothing to {verb}: the run is {status}", severity="warning", markup=False)


def head(live: Live, width: int) -> Content:
    """Who this is, and how far; what it is made of where there is room."""
    run = live.run
    glyph, style = STATUS[run.status]
    left = time_left(live)
    made_of = [line(run.method, 20)]
    if width >= 100:
        made_of += [line(run.student, 40), line(run.teacher, 40), f"seed {run.seed}"]
    return Content.assemble(
        (f"{glyph} {run.status} ", style),
        (line(run.name, 60 if width >= 100 else 30), "bold"),
        ("  " + " · ".join(made_of), "dim"),
        f"  iteration {run.iteration}/{run.iterations}",
        f"  ≈ {duration(left)} left" if left is not None else "",
    )


def strip(live: Live, width: int) -> Content:
    """The stages in a line, the running one with its bar."""
    parts: list[Content] = []
    for stage in live.stages:
        glyph, style = STAGE[stage.state]
        name = line(stage.name, 20).capitalize()
        if stage.state == "running" and stage.total:
            progress = f"{bar(stage.done / stage.total, max(6, min(30, (width - 60) // 3)))} "
            of = f"{count(stage.done)}/{count(stage.total)}"
            parts.append(Content.assemble((f"{name} ", "bold"), (progress, style), of))
        else:
            parts.append(Content.assemble(f"{name} ", (glyph, style)))
    return Content("  " if width >= 100 else " ").join(parts)


def state_line(live: Live) -> Content:
    """What keeps the run from going on, and what to do; empty where nothing does."""
    run = live.run
    if run.status == "stale":
        since = run.heartbeat_at or run.started_at or run.created_at
        at = "" if live.session is None else f" (worker {live.session.pid} on {line(live.session.host, 40)})"
        beat = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))
        return Content(f"? no sign of life since {beat}{at}: r starts a new worker from the last checkpoint")
    if run.status == "failed":
        why = run.error or next((entry.message for entry in reversed(live.logs) if entry.level == "error"), None)
        again = "" if why and why.endswith(ANOTHER_RUN) else "   r tries again"
        return Content(f"✗ {line(why, 600) if why else 'failed without a word: see the log'}{again}")
    if run.status == "interrupted" and run.error:
        return Content(f"■ {line(run.error, 600)}")
    if run.status == "interrupted":
        return Content(f"■ stopped at step {count(run.step)}: r resumes it from its checkpoint")
    if run.status == "queued":
        return Content("◌ queued: no worker has taken it yet; r starts one")
    if live.waiting and run.status in ("running", "paused"):
        return Content(f"asked to {', '.join(live.waiting)}: the run takes it up between two steps")
    if run.status == "paused":
        return Content(f"‖ paused at step {count(run.step)}: p lets it go on")
    return Content("")


def rate(stage: Stage) -> float | None:
    """Units a second of a stage, over all the time that was worked on it."""
    return stage.done / stage.seconds if stage.done and stage.seconds > 0 else None


def time_left(live: Live) -> float | None:
    """Seconds until the running stage is over; None where that can't be told."""
    if live.run.status != "running":
        return None
    stage = next((s for s in live.stages if s.state == "running"), None)
    speed = None if stage is None else rate(stage)
    if stage is None or stage.total is None or not speed:
        return None
    return max(0.0, (stage.total - stage.done) / speed)


def stage_table(live: Live) -> Content:
    """A line a stage, then who reached what."""
    parts = []
    for stage in live.stages:
        glyph, style = STAGE[stage.state]
        title = line(stage.name, 10)
        if stage.state == "waiting":
            parts.append(Content.styled(f"{glyph} {title}", style))
            continue
        total = f"/{count(stage.total)}" if stage.total and stage.state != "done" else ""
        done = f"{count(stage.done)}{total} {line(stage.unit, 12) if stage.unit else ''}".strip()
        if not stage.done and not stage.total:
            done = ""  # a stage that counts nothing
        took = "" if stage.state == "running" else duration(stage.seconds)
        left = time_left(live) if stage.state == "running" else None
        if left is not None:
            took = f"≈ {duration(left)} left"
        speed = rate(stage)
        per_second = f"{three(speed)}/s" if speed else ""
        parts.append(
            Content.assemble(
                (glyph, style),
                f" {title:<10}",
                f"{done:>20}",
                (f" {per_second:>8} {took:>12}", "dim"),
                (f"  {count(stage.failed)} failed" if stage.failed else "", "$error"),
            )
        )
    if live.scores:
        parts += [Content(""), score_table(live.scores)]
    return Content("\n").join(parts)
