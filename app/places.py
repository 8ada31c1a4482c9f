"""The console's screens by name: each is made, and its code loaded, when it is first wanted."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from textual.app import App

from screens.base import View, draw_hints
from screens.keys.key import Key
from screens.keys.table import KEYS
from screens.reading.reader import Snapshot
from screens.remembered.kept import Kept
from screens.runs import RunsScreen

if TYPE_CHECKING:
    from screens.compare import CompareScreen
    from screens.live import LiveScreen
    from screens.rationales import RationalesScreen
    from screens.sql import SqlScreen
    from screens.teacher import TeacherScreen
    from screens.try_it import TryScreen
    from screens.votes import VotesScreen

V = TypeVar("V", bound=View)


class Places:
    """Each has the keys as they are mapped, and is as it was left."""

    def __init__(
        self, app: App[Any], database: Path, runs: RunsScreen, read_last: Callable[[], Snapshot | None]
    ) -> None:
        self._app, self._database, self._read_last = app, database, read_last
        self.runs = runs
        """The list is there from the start."""
        self.made: dict[str, View] = {}
        """Those that were wanted so far."""
        self.compared: tuple[int, ...] = ()
        """The runs that were last beside each other."""
        self._keys: tuple[Key, ...] = KEYS
        self._kept = Kept()
        self._install("runs", runs)

    def hold(self, keys: tuple[Key, ...], kept: Kept) -> None:
        """All have these keys and settings from now on."""
        self._keys, self._kept = keys, kept
        for name, view in self.made.items():
            self._equip(name, view)

    def of(self, name: str) -> View:
        """The screen of that name."""
        view: View = getattr(self, "asking" if name == "try" else name)
        return view

    def name(self, view: View | None) -> str:
        """What it is called."""
        return next((name for name, made in self.made.items() if made is view), "")

    @cached_property
    def live(self) -> "LiveScreen":
        """One run as it goes."""
        from screens.live import LiveScreen

        return self._new("live", LiveScreen())

    @cached_property
    def rationales(self) -> "RationalesScreen":
        """A question of a run."""
        from screens.rationales import RationalesScreen

        return self._new("rationales", RationalesScreen())

    @cached_property
    def compare(self) -> "CompareScreen":
        """Runs beside each other."""
        from screens.compare import CompareScreen

        return self._new("compare", CompareScreen(self.compared))

    @cached_property
    def sql(self) -> "SqlScreen":
        """Questions to the database."""
        from screens.sql import SqlScreen

        return self._new("sql", SqlScreen(self._database))

    @cached_property
    def teacher(self) -> "TeacherScreen":
        """The teachers' ledger."""
        from screens.teacher import TeacherScreen

        return self._new("teacher", TeacherScreen())

    @cached_property
    def asking(self) -> "TryScreen":
        """Questions to a student; its name is "try"."""
        from screens.try_it import TryScreen

        return self._new("try", TryScreen(self._database))

    @cached_property
    def votes(self) -> "VotesScreen":
        """What votes among answers are worth."""
        from screens.votes import VotesScreen

        return self._new("votes", VotesScreen(self._database))

    def close(self) -> None:
        """End the processes of those that have one."""
        if "try" in self.made:
            self.asking.close()
        if "votes" in self.made:
            self.votes.close()

    def _new(self, name: str, view: V) -> V:
        self._equip(name, view)
        view.fit(*self._app.size)
        self._install(name, view)
        return view

    def _install(self, name: str, view: View) -> None:
        self.made[name] = view
        self._app.install_screen(view, name)

    def _equip(self, name: str, view: View) -> None:
        view.keys, view.read_last = self._keys, self._read_last
        if name in ("live", "rationales", "compare"):
            view.recall(getattr(self._kept, name))
        if view.is_mounted:
            draw_hints(view, name, self._keys)
