"""A run's progress on stderr: bars on a terminal, now and then a plain line elsewhere."""

import sys
import time
from typing import TYPE_CHECKING, Protocol

from app.cli.output import console
from app.settings import LINE_SECONDS
from engine.store.runs.live import Live, Stage
from engine.text import clean, one_line
from screens.widgets.words import count, three

if TYPE_CHECKING:
    from rich.progress import TaskID


class Display(Protocol):
    """What `attach.follow` shows a run on."""

    def update(self, live: Live) -> None:
        """The run as it is now."""

    def note(self, message: str) -> None:
        """A line that stays."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def display() -> Display:
    """Bars where stderr is a terminal, lines elsewhere."""
    return Bars() if sys.stderr.isatty() else Lines()


class Lines:
    """A line at each change of stage, each evaluation, and every few seconds in between."""

    def __init__(self) -> None:
        self._shown: tuple[object, ...] = ()
        self._done = -1
        self._at = 0.0

    def update(self, live: Live) -> None:
        """Print a line if there is something new to say."""
        stage = current_stage(live)
        if stage is None:
            return
        key = (live.run.status, stage.name, stage.state, evaluations(live))
        now = time.monotonic()
        if key == self._shown and (stage.done == self._done or now - self._at < LINE_SECONDS):
            return
        self._shown, self._done, self._at = key, stage.done, now
        values = latest(live)
        self.note(" · ".join([*_stage_words(live, stage), *([values] if values else [])]))

    def note(self, message: str) -> None:
        """Print a line with the time of day."""
        print(f"{time.strftime('%H:%M:%S')}  {one_line(message)}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing to undo."""


class Bars:
    """A bar for each stage, with its rate and time left; below them the latest losses and accuracies."""

    def __init__(self) -> None:
        from rich.live import Live as Region
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[count]}", markup=False, justify="right"),
            TextColumn("{task.fields[rate]}", markup=False, justify="right"),
            TimeRemainingColumn(compact=True),
            expand=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._region = Region(self._progress, console=console(sys.stderr), refresh_per_second=4, transient=False)
        self._region.start()

    def update(self, live: Live) -> None:
        """Move the bars."""
        from rich.console import Group
        from rich.text import Text

        for stage in live.stages:
            done_of = f"{count(stage.done)}/{count(stage.total)} {stage.unit}{_failed(stage)}" if stage.total else ""
            if stage.name not in self._tasks:
                self._tasks[stage.name] = self._progress.add_task(
                    clean(stage.name), total=stage.total, completed=stage.done, start=False, count="", rate=""
                )
            task = self._tasks[stage.name]
            if stage.state == "running":
                self._progress.start_task(task)
            done = stage.state == "done"
            total = (stage.total or 1) if done else stage.total
            speed = self._progress.tasks[task].speed
            self._progress.update(
                task,
                total=total,
                completed=total if done else stage.done,
                count=clean(done_of),
                rate=f"{three(speed)}/s" if speed and stage.state == "running" and stage.total else "",
            )
            if done:
                self._progress.stop_task(task)
        heading = f"{live.run.name} · {live.run.method} · {live.run.student} · seed {live.run.seed} · {live.run.status}"
        below = Text(clean(latest(live)), no_wrap=True, overflow="ellipsis")
        self._region.update(Group(Text(clean(heading), style="bold"), self._progress, below))

    def note(self, message: str) -> None:
        """Print a line above the bars."""
        from rich.text import Text

        self._region.console.print(Text(one_line(message)))

    def close(self) -> None:
        """Stop drawing; what was drawn last stays."""
        self._region.stop()


def current_stage(live: Live) -> Stage | None:
    """The stage that runs, failed or was stopped on its way, else the last one that is done."""
    begun = [stage for stage in live.stages if stage.state != "waiting" or stage.done]
    return begun[-1] if begun else None


def evaluations(live: Live) -> int:
    """How many accuracies have been recorded: a line is due when there is another."""
    return sum(len(curve.steps) for curve in live.curves if "accuracy" in curve.name)


def latest(live: Live) -> str:
    """The last value of each loss and accuracy, in the order of their names."""
    shown = [c for c in live.curves if c.values and ("accuracy" in c.name or c.name.startswith("loss"))]
    return ", ".join(f"{curve.name} {three(curve.values[-1])}" for curve in shown)


def _stage_words(live: Live, stage: Stage) -> list[str]:
    count = f" {stage.done}/{stage.total} {stage.unit}".rstrip() + _failed(stage) if stage.total else ""
    state = "" if stage.state == "running" and live.run.status == "running" else f" ({_state(live, stage)})"
    return [f"{stage.name}{count}{state}"]


def _failed(stage: Stage) -> str:
    return f", {count(stage.failed)} failed" if stage.failed else ""


def _state(live: Live, stage: Stage) -> str:
    return stage.state if live.run.status == "running" else live.run.status
