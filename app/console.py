"""The interactive console: a reader of experiments.db that can be closed and opened again without any run noticing."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from textual.app import App, SystemCommand
from textual.message import Message
from textual.screen import Screen

from app.settings import load_kept, save_kept, settings_path
from engine.errors import QcrdError
from screens.base import Ask, Compare, Keep, Open, View
from screens.compare import CompareScreen
from screens.help import HelpScreen
from screens.kept import Kept
from screens.keys import KEYS, bindings
from screens.live import LiveScreen
from screens.rationales import RationalesScreen
from screens.reader import Answer, Reader, Said, Snapshot, Watch
from screens.runs import RunsScreen
from screens.sql import SqlScreen
from screens.teacher import TeacherScreen
from screens.widgets.words import line


class Read(Message):
    """The reader's thread has something."""

    def __init__(self, result: Snapshot | Said | Answer) -> None:
        super().__init__()
        self.result = result


class Console(App[None]):
    """The screens over one reader."""

    TITLE = "qcrd"
    BINDINGS = bindings("all")

    def __init__(
        self,
        database: Path,
        run_id: int | None = None,
        clock: Callable[[], float] = time.time,
        settings: Path | None = None,
    ) -> None:
        """`settings`: the file with what is remembered; None: nothing is."""
        super().__init__()
        self._settings = settings
        self._kept, self._kept_problem = (Kept(), None) if settings is None else load_kept(settings)
        self.animation_level = "none"
        self.run_id = run_id
        """The run that live and rationales show."""
        self.shown: Watch | None = None
        """What the screen in front shows."""
        self._runs = RunsScreen(clock, self._kept.runs, database)
        self._live = LiveScreen()
        self._rationales = RationalesScreen()
        self._compare = CompareScreen()
        self._teacher = TeacherScreen()
        self._views: dict[str, View] = {
            "runs": self._runs,
            "live": self._live,
            "rationales": self._rationales,
            "compare": self._compare,
            "sql": SqlScreen(database),
            "teacher": self._teacher,
        }
        self._new: Screen[None] | None = None
        self._reader = Reader(database, lambda result: self.post_message(Read(result)), clock)

    def on_mount(self) -> None:
        """Open where asked, and start to read."""
        for name, view in self._views.items():
            self.install_screen(view, name)
        if self.run_id is None:
            self.push_screen("runs")
        else:
            self._runs.selected = self.run_id
            self._live.open(self.run_id)
            self.push_screen("live")
        if self._kept_problem is not None:
            self.notify(line(self._kept_problem, 400), severity="warning", markup=False)
        self._reader.start()

    def on_unmount(self) -> None:
        """Let no thread keep the process alive."""
        self._reader.stop()

    @property
    def reader_alive(self) -> bool:
        """Whether the reader's thread still runs."""
        return self._reader.alive

    def on_look(self) -> None:
        """The screen in front wants to see something."""
        view = self._front()
        if view is not None:
            self._reader.watch(view.wanted())

    def on_ask(self, message: Ask) -> None:
        """Work for the reader's thread."""
        self._reader.do(message.job)

    def on_open(self, message: Open) -> None:
        """A run was chosen in the list."""
        self.run_id = message.run_id
        self.action_go("live")

    def on_keep(self, message: Keep) -> None:
        """Something is to be remembered."""
        self._kept = replace(self._kept, **{message.section: message.value})  # type: ignore[arg-type]
        if self._settings is not None:
            self._reader.do(partial(_remember, path=self._settings, kept=self._kept))

    def on_compare(self, message: Compare) -> None:
        """Runs were chosen in the list."""
        self._compare.open(message.run_ids)
        self.action_go("compare")

    def on_read(self, message: Read) -> None:
        """Hand what was read to the screen it is for."""
        result = message.result
        if isinstance(result, Said):
            self.notify(line(result.text, 400), severity=result.severity, markup=False)
        elif isinstance(result, Answer):
            self._views[result.place].answered(result)
        else:
            view = self._front()
            # the answer to what was wanted before is of no use: the next one is on its way
            if view is not None and view.is_mounted and result.watch == view.wanted():
                view.show_problem(result.problem)
                view.show(result)
                self.shown = result.watch

    def action_go(self, place: str) -> None:
        """To one of the screens; out of the form of a new run, which keeps what was typed."""
        if self._new is not None and self.screen is self._new:
            self.pop_screen()
        if place in ("live", "rationales"):
            run_id = self.run_id
            if self._front() is self._runs:
                self._runs.follow_cursor()
                run_id = self._runs.selected
            if run_id is None:
                self.notify("no run to show yet", severity="warning", markup=False)
                return
            self.run_id = run_id
            self._live.open(run_id)
            self._rationales.open(run_id)
        if place == "teacher":
            if self._front() is self._runs:
                self._runs.follow_cursor()
            self._teacher.open(self._runs.selected if self._front() is self._runs else self.run_id)
        if self._front() is not self._views[place]:
            self.switch_screen(place)

    async def action_back(self) -> None:
        """One level up; out of a search or a maximised pane first."""
        view = self._front()
        if view is self._rationales:
            if self._rationales.close_search():
                return
            if self._rationales.maximized is not None:
                self._rationales.minimize()
                return
            self.action_go("live")
        elif view is not self._runs:
            self.action_go("runs")
        else:
            self._runs.leave()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Not offered: to go where one is."""
        return not (action == "go" and parameters and self._views.get(str(parameters[0])) is self.screen)

    def action_new_run(self) -> None:
        """The form of a new run; what was typed before is still there."""
        if self._new is None:
            from screens.new_run import NewRunScreen  # the spec's models take a while to import

            self._new = NewRunScreen(self._reader.database)
        self.push_screen(self._new)

    def action_keys_help(self) -> None:
        """All keys."""
        self.push_screen(HelpScreen(self._place()))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette offers: the table's commands that make sense here, and the theme."""
        place = self._place()
        for key in KEYS:
            if key.place in ("all", place) and key.action not in ("back", "up", "down"):
                yield SystemCommand(key.label, f"{key.help} ({key.shown})", partial(self._act, key.action, key.place))
        yield SystemCommand("theme", "Change the colours; ansi-dark uses the terminal's own", self.action_change_theme)

    async def _act(self, action: str, place: str) -> None:
        await self.run_action(action, default_namespace=self if place == "all" else self._front())

    def _place(self) -> str:
        view = self._front()
        return next((name for name, v in self._views.items() if v is view), "")

    def _front(self) -> View | None:
        """The view in front, below any box that asks something."""
        return next((s for s in reversed(self.screen_stack) if isinstance(s, View)), None)


def _remember(reader: Reader, path: Path, kept: Kept) -> None:
    try:
        save_kept(path, kept)
    except OSError as error:
        raise QcrdError(f"cannot remember the settings in {path} ({error.strerror}): they last until q") from error


def run(database: Path, run_id: int | None = None) -> None:
    """Open the console on a database (which need not exist yet), on a run's live screen where one is named."""
    Console(database, run_id, settings=settings_path()).run()
