"""The interactive console: a reader of experiments.db that can be closed and opened again without any run noticing."""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.events import Event
from textual.screen import Screen

from app.frames import QUIET, Frames
from app.places import Places
from app.settings import load_kept, remember
from app.stylesheet import ParsedOnce
from app.turns import Handled, Turns, takes_turn
from screens import themes
from screens.base import Ask, Compare, Export, Keep, Open, Prefer, Read, TryIt, View, Votes, draw_hints
from screens.doing.background import Finished
from screens.keys.table import KEYS, bindings, hold_to
from screens.reading.reader import Answer, Reader, Said, Snapshot, Watch
from screens.remembered.kept import Kept, LastKept
from screens.runs import RunsScreen
from screens.widgets.words import line

if TYPE_CHECKING:
    from screens.doing.exporting import Exports

PLACES = ("runs", "live", "rationales", "compare", "sql", "teacher")
LATER = (*PLACES[1:], "try_it", "votes", "help", "settings")
"""Screens that are loaded when the first frame is there."""


class Console(App[None]):
    """The screens over one reader."""

    TITLE = "qcrd"
    BINDINGS = bindings("all")
    ESCAPE_TO_MINIMIZE = False  # Textual's own way draws nothing anew: `action_back` does
    CSS_PATH = [Path(themes.__file__).with_name(f"{name}.tcss") for name in ("themes", "base", "runs")]  # noqa: RUF012
    # the list's too: Textual reads none for the screen that it begins with

    def __init__(
        self,
        database: Path,
        run_id: int | None = None,
        clock: Callable[[], float] = time.time,
        settings: Path | None = None,
    ) -> None:
        """`settings`: the file with what is remembered; None: nothing is."""
        # with NO_COLOR nothing is coloured, rather than everything grey
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.stylesheet = ParsedOnce(self.theme_variables)
        self._settings = settings
        self._turns = Turns(self)
        self._frames = Frames()
        self._kept, self._kept_problem = (Kept(), None) if settings is None else load_kept(settings)
        for theme in themes.THEMES:
            self.register_theme(theme)
        self.animation_level = "none"
        self.run_id = run_id
        """The run that live and rationales show."""
        self.shown: Watch | None = None
        """What the screen in front shows."""
        self._drawn: Snapshot | None = None
        """It was drawn from that."""
        self._latest: Snapshot | None = None
        """What was read last: it may be there before the screen that wants it."""
        self._runs = RunsScreen(clock, self._kept.runs, database)
        self._new: Screen[None] | None = None
        self._places = Places(self, database, self._runs, lambda: self._latest)
        self._reader = Reader(database, self._came, clock)
        self._hold()
        last = self._kept.last.of(database)
        self._places.compared = last.compared
        self._first = "runs" if run_id is None else "live"
        """Where it opens."""
        if run_id is None and last.place in PLACES:
            self._first, self.run_id = last.place, last.run or None

    def _came(self, result: Snapshot | Said | Answer) -> None:
        """On the reader's thread: it has something."""
        if isinstance(result, Snapshot):
            self._latest = result
        self.post_message(Read(result))

    def _hold(self) -> None:
        """Be as the settings want it."""
        self.theme = "ansi" if self.no_color else self._kept.look.theme
        self._reader.pause = 1 / self._kept.look.repaints
        self._keys = KEYS
        if self._kept.keys:
            from screens.keys.keymap import remapped

            self._keys, _ = remapped(self._kept.keys)
        hold_to(self._keys)
        self._turns.quit_keys = frozenset(next(k.keys for k in self._keys if k.name == "all.quit").split(","))
        self.set_keymap({key.name: key.keys for key in self._keys if key.name in self._kept.keys})
        self._places.hold(self._keys, self._kept)
        self._runs.draw()

    @cached_property
    def _exports(self) -> "Exports":
        from screens.doing.exporting import Exports

        return Exports(self, self._reader.database)

    def get_default_screen(self) -> Screen[Any]:
        """The list at once where that is what is opened, with none of Textual's below it."""
        self._runs.fit(*self.size)
        if self._first != "runs":
            return super().get_default_screen()
        self._runs.selected = self.run_id
        self._reader.watch(self._runs.wanted())  # it reads while the screen is made
        self._reader.start()
        return self._runs

    def on_mount(self) -> None:
        """Open where asked, and start to read."""
        if self._first != "runs":
            self._runs.selected = self.run_id
            if self.run_id is not None and self._first in ("live", "rationales", "teacher"):
                opened: Any = self._places.of(self._first)
                opened.open(self.run_id)
            self._reader.watch(self._places.of(self._first).wanted())
            self.push_screen(self._first)
            self._reader.start()
        if self._kept_problem is not None:
            self.notify(line(self._kept_problem, 400), severity="warning", markup=False)

    def on_unmount(self) -> None:
        """Let no thread keep the process alive, and no process outlive it."""
        if "_exports" in self.__dict__:
            self._exports.stop()
        self._places.close()
        self._reader.stop()

    async def on_event(self, event: Event) -> None:
        """A key when it is its turn; anything else at once."""
        if not takes_turn(event):
            await super().on_event(event)
            return
        self._frames.pressed(time.monotonic())
        if self._front() is self._runs and self._runs.awaits:
            self._turns.hold(event)
        if self._turns.may_go(event):
            await super().on_event(event)
            self._turns.follow()

    def on_handled(self, message: Handled) -> None:
        """A key was acted on."""
        self._turns.came(message)
        if self._frames.any_waits:
            self.call_after_refresh(self._draw_waiting)

    @property
    def reader_alive(self) -> bool:
        """Whether the reader's thread still runs."""
        return self._reader.alive

    def on_look(self) -> None:
        """The screen in front wants to see something."""
        view = self._front()
        if view is not None:
            self._reader.watch(view.wanted())
            if self._latest is not None and self.shown != self._latest.watch:  # it came before the screen
                self.on_read(Read(self._latest))

    def on_ask(self, message: Ask) -> None:
        """Work for the reader's thread."""
        self._frames.hasten()
        self._reader.do(message.job)

    def on_open(self, message: Open) -> None:
        """A run was chosen in the list, or was begun: the cursor goes there too."""
        self._runs.selected = message.run_id
        self._to_run(message.run_id, "live")

    def on_try_it(self, message: TryIt) -> None:
        """A run's student is to be asked."""
        self.run_id = message.run_id
        self._places.asking.open(message.run_id, message.example, self._place() or "runs")
        self._to("try")

    def on_votes(self, message: Votes) -> None:
        """Votes among a run's answers are to be told."""
        self.run_id = message.run_id
        self._places.votes.open(message.run_id, self._place() or "runs")
        self._to("votes")

    def on_export(self, message: Export) -> None:
        """A run's student is to be taken away."""
        self._exports.ask(message.run_id, message.name)

    def on_finished(self, message: Finished) -> None:
        """A query or an export is over; queries are their screen's."""
        if "_exports" in self.__dict__:
            self._exports.finished(message)

    def on_keep(self, message: Keep) -> None:
        """Something is to be remembered."""
        self._kept = replace(self._kept, **{message.section: message.value})  # type: ignore[arg-type]
        self._remember(message.section)

    def on_prefer(self, message: Prefer) -> None:
        """Something was set: it holds at once, in what was drawn before it too."""
        self._kept = message.kept
        self._remember(message.section)
        self._hold()
        if self._drawn is not None:  # or what waits to be drawn in its place
            newer = self._latest is not None and self._latest.watch == self._drawn.watch
            self._draw(self._latest if self._latest is not None and newer else self._drawn)

    def _remember(self, section: str) -> None:
        if self._settings is not None:
            self._reader.do(partial(remember, path=self._settings, kept=self._kept, section=section))

    def on_compare(self, message: Compare) -> None:
        """Runs were chosen in the list."""
        self._places.compared = message.run_ids
        self._places.compare.open(message.run_ids)
        self.action_go("compare")

    def on_read(self, message: Read) -> None:
        """Hand what was read to the screen it is for."""
        result = message.result
        if isinstance(result, Said):
            self.notify(line(result.text, 400), severity=result.severity, markup=False)
        elif isinstance(result, Answer):
            self._places.of(result.place).answered(result)
        elif (
            result.watch == self.shown and self._takes_a_frame(result) and self._frames.waits(result, time.monotonic())
        ):
            self.set_timer(QUIET, self._draw_when_quiet)
        else:
            self._draw(result)

    def _takes_a_frame(self, result: Snapshot) -> bool:
        view = self._front()  # another than the one it was read for, where somebody has just gone there
        return view is not None and result.watch == view.wanted() and view.draws(result)

    def _draw_when_quiet(self) -> None:
        self._draw_waiting()
        if self._frames.any_waits:
            self.set_timer(QUIET, self._draw_when_quiet)

    def _draw_waiting(self) -> None:
        snapshot = self._frames.due(time.monotonic())
        if snapshot is not None:
            self._draw(snapshot)

    def _draw(self, result: Snapshot) -> None:
        """What was read, on the screen that it is for."""
        view = self._front()
        if view is None or not self.is_running:  # at the end widgets go one by one
            return
        # an answer to what was wanted before is of no use: the next one is on its way; a view that closes is empty
        if view.is_mounted and view.children and result.watch == view.wanted():
            self._frames.drawn()
            self.call_after_refresh(self._pace, time.perf_counter())
            view.show_problem(result.problem, quiet=result.absent)
            view.show(result)
            if self.shown is None:
                self._reader.do(_load)
                for at, name in enumerate(LATER, 2):
                    self.set_timer(at * QUIET, partial(self._read_styles, name))
            self.shown, self._drawn = result.watch, result
            if not self._runs.awaits:
                self._turns.release()

    def _read_styles(self, name: str) -> None:
        """Those of a screen that may be opened: read when it is, they would have all that is mounted styled again."""
        path = Path(themes.__file__).with_name(f"{name}.tcss")
        if not self.stylesheet.has_source(str(path)):
            self.stylesheet.read(path)
            self.stylesheet.parse()

    def _pace(self, began: float) -> None:
        """It is drawn."""
        self._reader.pace(1 / self._kept.look.repaints, time.perf_counter() - began)

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
            self._to_run(run_id, place)
            return
        if place == "teacher":
            if self._front() is self._runs:
                self._runs.follow_cursor()
            self._places.teacher.open(self._runs.selected if self._front() is self._runs else self.run_id)
        self._to(place)

    def _to_run(self, run_id: int, place: str) -> None:
        """To a screen of that run."""
        self.run_id = run_id
        (self._places.live if place == "live" else self._places.rationales).open(run_id)
        self._to(place)

    def _to(self, place: str) -> None:
        view = self._places.of(place)
        if self._front() is not view:
            self._reader.watch(view.wanted())  # it reads while the screen is made
            if view in self.screen_stack:  # the list, with which it began
                while self.screen is not view:
                    self.pop_screen()
            elif len(self.screen_stack) == 1:  # what it began with cannot be switched
                self.push_screen(place)
            else:
                self.switch_screen(place)
            if place in ("try", "votes"):  # of a run that is named by what led there
                return
            database = str(self._reader.database.absolute())
            self.on_keep(Keep("last", LastKept(place, self.run_id or 0, database, self._places.compared)))

    async def action_back(self) -> None:
        """One level up; out of a search or a maximised pane first."""
        view = self._front()
        if view is self._places.made.get("rationales"):
            if self._places.rationales.close_search():
                return
            if self._places.rationales.maximized is not None:
                self._places.rationales.action_maximise()
                return
            self.action_go("live")
        elif view is not self._runs:
            self.action_go("runs")
        else:
            self._runs.leave()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Not offered: to go where one is."""
        return not (action == "go" and parameters and self._places.made.get(str(parameters[0])) is self.screen)

    def action_new_run(self) -> None:
        """The form of a new run; what was typed before is still there."""
        if self._new is None:
            from screens.new_run import NewRunScreen  # the spec's models take a while to import

            self._new = NewRunScreen(self._reader.database)
            self.install_screen(self._new, "new")  # not removed when it is left: put up again it would not be painted
        self.push_screen(self._new)
        self.call_after_refresh(draw_hints, self._new, "new", self._keys)

    def action_keys_help(self) -> None:
        """All keys."""
        from screens.help import HelpScreen

        self.push_screen(HelpScreen(self._place(), self._keys))

    def action_settings(self) -> None:
        """What can be set, keys among it."""
        from screens.settings import SettingsScreen

        self.push_screen(SettingsScreen(self._kept, self._settings, self._keys))

    def get_key_display(self, binding: Binding) -> str:
        """As the table writes it, remapped or not."""
        shown = next((key.shown for key in self._keys if key.name == binding.id), None)
        return super().get_key_display(binding) if shown is None else shown

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette offers: each key of this screen, by its help; the command line of each, to copy; themes."""
        from app.palette import commands  # a while to load, and few ask for it first

        view = self._front()
        blanks = {} if view is None else view.blanks()
        if self.run_id is not None:
            blanks = {"RUN": str(self.run_id), **blanks}
        return commands(self, self._place(), view, self._keys, blanks, self._reader.database, self._kept)

    def _place(self) -> str:
        return self._places.name(self._front())

    def _front(self) -> View | None:
        """The view in front, below any box that asks something."""
        return next((s for s in reversed(self.screen_stack) if isinstance(s, View)), None)


def _load(reader: Reader) -> None:
    """Load the other screens' code, so that they open at once."""
    for name in LATER:
        import_module(f"screens.{name}")
