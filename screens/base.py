"""What the screens share: their keys, the line that says what is wrong, and how they ask for something."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from screens.keys.key import Key
from screens.keys.table import KEYS, hints
from screens.reading.reader import Answer, Reader, Said, Snapshot, Watch
from screens.remembered.kept import Kept
from screens.widgets.words import line

SLOW = 0.7
"""Seconds that nothing is said of a screen that has not been read yet."""


class Look(Message):
    """The screen in front wants to see something else."""


class Open(Message):
    """Open the live screen on a run."""

    def __init__(self, run_id: int) -> None:
        super().__init__()
        self.run_id = run_id


class TryIt(Message):
    """Ask a run's student; `example`: this question of its data."""

    def __init__(self, run_id: int, example: str | None = None) -> None:
        super().__init__()
        self.run_id, self.example = run_id, example


class Export(Message):
    """Export a run's student."""

    def __init__(self, run_id: int, name: str) -> None:
        super().__init__()
        self.run_id, self.name = run_id, name


class Votes(Message):
    """Tell what votes among answers of a run's student are worth."""

    def __init__(self, run_id: int) -> None:
        super().__init__()
        self.run_id = run_id


class Compare(Message):
    """Lay runs beside each other; the first is what the others are compared with."""

    def __init__(self, run_ids: tuple[int, ...]) -> None:
        super().__init__()
        self.run_ids = run_ids


class Keep(Message):
    """Remember a section of `screens/remembered/kept.py` as it now is."""

    def __init__(self, section: str, value: object) -> None:
        super().__init__()
        self.section, self.value = section, value


class Prefer(Message):
    """Settings were changed: hold to them, and remember the section."""

    def __init__(self, kept: Kept, section: str) -> None:
        super().__init__()
        self.kept, self.section = kept, section


class Ask(Message):
    """Have the reader's thread do something; `job` gets the reader."""

    def __init__(self, job: Callable[[Reader], Said | Answer | None]) -> None:
        super().__init__()
        self.job = job


class Read(Message):
    """The reader's thread has something."""

    def __init__(self, result: Snapshot | Said | Answer) -> None:
        super().__init__()
        self.result = result


class View(Screen[None]):
    """A screen of the console, which shows snapshots and never reads the database itself.

    Each has `wanted`, what the reader should look at while it is in front, and `show`, which draws a snapshot of that.
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-medium"), (120, "-wide")]  # noqa: RUF012
    PLACE: ClassVar[str] = ""
    """Its name in the table of keys."""
    kept: Any = None
    """How it was left: its section of `remembered/kept.py`, where it has one."""
    keys: tuple[Key, ...] = KEYS
    """The table, as it was remapped."""
    read_last: Callable[[], Snapshot | None] = staticmethod(lambda: None)
    """What the reader has last read for whichever screen: it may be there before the screen that wants it."""

    @property
    def width(self) -> int:
        """Columns: the terminal's before the first layout, which tells the screen its own."""
        return self.size.width or self.app.size.width

    def fit(self, width: int, height: int) -> None:
        """Be laid out for that size from the start: Textual tells after a first layout, which is then for nothing."""
        for length, breakpoints in ((width, self.HORIZONTAL_BREAKPOINTS), (height, self.VERTICAL_BREAKPOINTS)):
            fitting = [name for least, name in sorted(breakpoints or ()) if least <= length]
            self.add_class(*fitting[-1:], update=False)

    @abstractmethod
    def wanted(self) -> Watch:
        """What the reader should look at."""

    @abstractmethod
    def show(self, snapshot: Snapshot) -> None:
        """Draw what it saw."""

    def draws(self, snapshot: Snapshot) -> bool:
        """Whether showing this takes a frame; what takes none need not wait for the keys that are pressed."""
        return True

    def answered(self, answer: Answer) -> None:
        """Take what a job of this screen's found out; a screen whose jobs answer nothing has nothing to take."""

    def recall(self, kept: Any) -> None:
        """Be as it was left; `kept` is its section of `screens/remembered/kept.py`, which most screens do not have."""

    def _keep(self, **changes: Any) -> None:
        """Look so from now on, and have it remembered."""
        kept = replace(self.kept, **changes)
        if kept != self.kept:
            self.recall(kept)
            self.post_message(Keep(self.PLACE, kept))

    def blanks(self) -> Mapping[str, str]:
        """What stands for the words in capitals of `screens/keys/twins.py`: RUN, QUESTION."""
        return {}

    def on_mount(self) -> None:
        """The first frame has what was read meanwhile; borders tell the keys as they are."""
        latest = self.read_last()
        if latest is not None and latest.content is not None and latest.watch == self.wanted():
            self.show(latest)
        draw_hints(self, self.PLACE, self.keys)

    def problem(self) -> Static:
        """The line that `show_problem` fills; each screen puts it first."""
        return Static("", id="problem", markup=False)

    def show_problem(self, text: str | None, *, quiet: bool = False) -> None:
        """Say why nothing (or nothing newer) can be read; None: all is well. `quiet`: it is no fault."""
        banner = self.query_one("#problem", Static)
        banner.set_class(text is not None, "-shown")
        banner.set_class(quiet, "-quiet")
        if text is not None:
            banner.update(Content(line(text, 500) if quiet else f"✗ {line(text, 500)}"))

    def on_screen_resume(self) -> None:
        """In front again: look here."""
        self.post_message(Look())
        self.set_timer(SLOW, self._still_reading)

    def _still_reading(self) -> None:
        """What takes a while is said: an empty pane would be taken for the answer."""
        if self.is_current and getattr(self.app, "shown", None) != self.wanted():
            banner = self.query_one("#problem", Static)
            if not banner.has_class("-shown"):
                banner.add_class("-shown", "-quiet")
                banner.update(Content("reading the database …"))


ELSEWHERE = {
    ("live", "log"): "#log-pane",
    ("live", "speed"): "#speed, #memory",
    ("sql", "editor"): "#editor-pane",
    ("try", "ask"): "#ask-pane",
}
"""Panes whose widget is not called as they are; the list of runs writes its own border."""


def draw_hints(screen: Screen[Any], place: str, keys: Sequence[Key]) -> None:
    """Write each pane's keys in its border."""
    for pane in {key.pane for key in keys if key.place == place and key.pane and key.pane != "runs"}:
        for widget in screen.query(ELSEWHERE.get((place, pane), f"#{pane}")):
            widget.border_subtitle = Content(hints(place, pane, keys))
