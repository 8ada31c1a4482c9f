"""The live screen: is it learning? Stages with progress and time left, curves, and the end of the log."""

import sqlite3
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import RichLog, Static

from engine.store.runs.browse import with_clock
from engine.store.runs.live import Live, LiveReader
from engine.store.runs.run import Order
from screens.base import Ask, Export, TryIt, View, Votes
from screens.confirm import ConfirmScreen
from screens.doing.orders import order, resume
from screens.drawing.curves import accuracies, adapters, at_place, last, losses, memories, qualities, scaled, zoomed
from screens.drawing.stages import head, stage_table, state_line, strip
from screens.keys.table import bindings, hints, key_of
from screens.reading.reader import Snapshot
from screens.remembered.kept import LiveKept
from screens.widgets.chart import Chart, Pointed
from screens.widgets.footer import Footer
from screens.widgets.log_tail import LogTail
from screens.widgets.pane_tabs import PaneTabs
from screens.widgets.plot import UNITS, Across, Lens, Line, Unit, extent
from screens.widgets.steady import tell
from screens.widgets.words import UNKNOWN, line


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
        live = reader.read(con)
        kept["more"] = reader.sketchy
        return live

    def at(self, content: Live, now: float) -> Live:
        """It may have gone stale."""
        return replace(content, run=with_clock(content.run, now))


class LiveScreen(View):
    """One run, as it goes."""

    CSS_PATH = "live.tcss"
    PLACE = "live"
    BINDINGS = bindings("live")

    def __init__(self) -> None:
        super().__init__()
        self.run_id: int | None = None
        self._live: Live | None = None
        self.kept: LiveKept = LiveKept()
        self._lens = Lens(smooth=True)

    def compose(self) -> ComposeResult:
        """Charts above, stages and log below; on a narrow terminal one of the three at a time."""
        yield self.problem()
        yield Static("", id="head", markup=False)
        yield Static("", id="strip", markup=False)
        yield Static("", id="state", markup=False)
        self.add_class(f"-on-{self.kept.tab}", update=False)
        yield PaneTabs("charts", "stages", "log", front=self.kept.tab)
        with Vertical(id="charts"):
            with Horizontal(id="large"):
                yield Chart("accuracy", id="accuracy", bounds=(0.0, 1.0))
                loss = Chart("loss", id="loss")
                loss.border_subtitle = Content(hints("live", "loss"))
                yield loss
            with Horizontal(id="small"):
                yield Chart("quality", id="quality", bounds=(0.0, 1.0))
                yield Chart("active negatives", id="active", bounds=(0.0, 1.0))
                yield Chart("γ, attention", id="adapters")
                speed = Chart("tokens/s", id="speed")
                speed.border_subtitle = Content(hints("live", "speed"))
                yield speed
                yield Chart("learning rate", id="rate")
                yield Chart("gradient norm", id="gradient")
                memory = Chart("memory, MB", id="memory")
                memory.border_subtitle = Content(hints("live", "speed"))
                yield memory
        with Horizontal(id="lower"):
            with VerticalScroll(id="stages", can_focus=False) as stages:
                stages.border_title = Content("Stages")
                yield Static("", markup=False)
            log = LogTail(id="log-pane")
            log.border_title = Content("Log")
            log.border_subtitle = Content(hints("live", "log"))
            yield log
        yield Footer()

    def open(self, run_id: int) -> None:
        """Show that run from now on."""
        if run_id != self.run_id:
            self.run_id = run_id
            self._live = None

    def recall(self, kept: LiveKept) -> None:
        """Look as it was left."""
        self.kept = kept
        across: Unit = next(unit for unit in UNITS if unit == kept.across)
        self._lens = replace(self._lens, smooth=kept.smooth, log_y=kept.log_y, across=Across(across))
        if self.is_mounted:
            self.query_one(PaneTabs).bring(kept.tab)
            self._redraw()

    def blanks(self) -> dict[str, str]:
        """The run."""
        return {} if self.run_id is None else {"RUN": str(self.run_id)}

    def wanted(self) -> LiveWatch:
        """This run."""
        return LiveWatch(self.run_id)

    def show(self, snapshot: Snapshot) -> None:
        """Draw the run."""
        live: Live | None = snapshot.content
        if live is None:
            if snapshot.problem is None:
                self.show_problem(
                    f"there is no run {self.run_id} in this database: {key_of('all.runs')} shows those there are"
                )
            return
        self._live = live
        tell(self.query_one("#head", Static), head(live, self.width))
        tell(self.query_one("#strip", Static), strip(live, self.width))
        text = state_line(live)
        state = self.query_one("#state", Static)
        state.set_class(bool(text), "-shown")
        state.set_class(live.run.status == "failed", "-failed")
        state.set_class(live.run.status == "done", "-done")
        tell(state, text)
        self._draw_charts(live)
        tell(self.query_one("#stages Static", Static), stage_table(live))
        self.query_one(LogTail).show(live.run.id, live.logs)

    def _draw_charts(self, live: Live) -> None:
        across = scaled(self._lens.across, live)
        lens = replace(self._lens, across=across, log_y=False)
        plain = replace(lens, smooth=False)
        lines, title = accuracies(live)
        self.query_one("#accuracy", Chart).show(lines, plain, title + at_place(lens))
        self.query_one("#loss", Chart).show(losses(live), replace(lens, log_y=self._lens.log_y))
        plus = live.curve("quality/positive")
        self.query_one("#quality", Chart).show(qualities(live), lens)
        self.query_one("#adapters", Chart).show(adapters(live), lens)
        active = live.curve("active_share")
        now = last(active)
        share = UNKNOWN if now is None else f"{100 * now:.0f} %"
        self.query_one("#active", Chart).show((Line("", "a", "$text-warning", active, share),), lens)
        for name, letter, curve in (
            ("speed", "t", "tokens_per_second"),
            ("rate", "r", "lr"),
            ("gradient", "g", "grad_norm"),
        ):
            how = lens if name == "gradient" else plain
            self.query_one(f"#{name}", Chart).show((Line("", letter, "$text-primary", live.curve(curve)),), how)
        self.query_one("#memory", Chart).show(memories(live), plain)
        pushed = live.run.method == "qcrd"
        judged = pushed and any(stage.name == "judge" for stage in live.stages)
        learnt = any(stage.name == "negative" for stage in live.stages)
        self.set_class(not pushed and plus is None and active is None and not learnt, "-plain")
        shown = {
            "quality": judged or plus is not None,
            "active": pushed or active is not None,
            "adapters": learnt,
            "speed": True,
            "rate": False,
            "gradient": False,
            "memory": False,
        }
        for name, first in shown.items():
            other = name in ("rate", "gradient", "memory")
            self.query_one(f"#{name}").display = other if self.kept.second else first

    def action_next_tab(self) -> None:
        """Charts, Stages, Log, and round again."""
        self.query_one(PaneTabs).next()

    def action_smooth(self) -> None:
        """Smooth the curves of single steps, or show every point."""
        self._keep(smooth=not self.kept.smooth)

    def action_log_y(self) -> None:
        """Logarithmic axis of the losses, or not."""
        self._keep(log_y=not self.kept.log_y)

    def action_across(self) -> None:
        """Steps, epochs or time, and round again; what was zoomed and marked is let go."""
        at = UNITS.index(self._lens.across.unit)
        self._lens = replace(self._lens, window=None, cursor=None)
        self._keep(across=UNITS[(at + 1) % len(UNITS)])

    def action_cursor(self, by: int) -> None:
        """The mark goes a fortieth of what is shown to the side; the titles tell the values there."""
        first, last = self._span()
        at = last if self._lens.cursor is None else self._lens.cursor
        self._looked(cursor=max(first, min(last, at + by * (last - first) / 40)))

    def action_zoom(self, by: int) -> None:
        """Half of it around the mark (or its end), or twice as much."""
        low, high = self._span(whole=True)
        window = zoomed(self._span(), (low, high), self._lens.cursor, by)
        self._looked(window=None if window == (low, high) else window)

    def action_all(self) -> None:
        """All of the curves, and their last values."""
        self._looked(window=None, cursor=None)

    def on_pointed(self, message: Pointed) -> None:
        """A click on a chart puts the mark there."""
        self._looked(cursor=message.place)

    def action_charts(self) -> None:
        """The other small charts."""
        self._keep(second=not self.kept.second)

    def action_level(self) -> None:
        """The log from another level on."""
        log = self.query_one(LogTail)
        log.next_level()
        log.border_title = Content("Log" if log.level == "debug" else f"Log · {log.level} and above")

    def on_tabs_tab_activated(self) -> None:
        """Another tab."""
        self._keep(tab=self.query_one(PaneTabs).front)

    def _looked(self, **changes: Any) -> None:
        self._lens = replace(self._lens, **changes)
        self._redraw()

    def _span(self, *, whole: bool = False) -> tuple[float, float]:
        """What is shown of the horizontal axis, or all there is."""
        if self._lens.window is not None and not whole:
            return self._lens.window
        if self._live is None:
            return 0.0, 0.0
        lines = tuple(Line("", "", "", curve) for curve in self._live.curves)
        return extent(lines, scaled(self._lens.across, self._live))

    def _redraw(self) -> None:
        if self._live is not None:
            self._draw_charts(self._live)

    def on_resize(self) -> None:
        """Bars have another length."""
        if self._live is not None:
            self.query_one("#strip", Static).update(strip(self._live, self.width))
            self.query_one("#head", Static).update(head(self._live, self.width))

    def action_move(self, by: int) -> None:
        """Scroll the log."""
        self.query_one(RichLog).scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        """Scroll the log by what is in sight of it."""
        self.action_move(by * max(1, self.query_one(RichLog).size.height - 1))

    def action_end(self, by: int) -> None:
        """The log's oldest line, or its newest, which is followed."""
        log = self.query_one(RichLog)
        (log.scroll_end if by > 0 else log.scroll_home)(animate=False)

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
            ConfirmScreen(
                f"Stop {name}?", f"It saves a checkpoint first; {key_of('live.resume')} resumes it from there."
            ),
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

    def action_try_it(self) -> None:
        """Ask its student."""
        if self.run_id is not None:
            self.post_message(TryIt(self.run_id))

    def action_votes(self) -> None:
        """What votes among its answers are worth."""
        if self.run_id is not None:
            self.post_message(Votes(self.run_id))

    def action_export(self) -> None:
        """Export its student."""
        if self.run_id is not None and self._live is not None:
            self.post_message(Export(self.run_id, self._live.run.name))

    def _status(self) -> str | None:
        return None if self._live is None or self._live.run.id != self.run_id else self._live.run.status

    def _order(self, name: Order) -> None:
        assert self.run_id is not None
        self.post_message(Ask(partial(order, run_id=self.run_id, name=name)))

    def _refuse(self, verb: str, status: str) -> None:
        self.notify(f"nothing to {verb}: the run is {status}", severity="warning", markup=False)
