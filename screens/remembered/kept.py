"""What the console remembers from one start to the next: a section for each screen that keeps something.

A field with a help text is a setting: F2 and `qcrd settings` show and change it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

THEMES = ("dark", "light", "safe-dark", "safe-light", "ansi")
"""Of `screens/themes.py`."""


def setting(default: Any, help: str, choices: tuple[Any, ...] = ()) -> Any:
    """A field that people set; `choices`: all it can be, where it is not yes or no."""
    return field(default=default, metadata={"help": help, "choices": choices or (True, False)})


@dataclass(frozen=True, slots=True)
class LookKept:
    """Of all screens."""

    theme: str = setting("dark", "Colours; safe-…: blue and orange; ansi: the terminal's own sixteen", THEMES)
    repaints: int = setting(4, "How often new data is drawn at most, in a second; fewer for a slow line", (4, 2, 1))


@dataclass(frozen=True, slots=True)
class LastKept:
    """Where one was when the console was left."""

    place: str = ""
    """A screen's name; "": the list of runs."""
    run: int = 0
    """The run it showed; 0: none."""
    database: str = ""
    """Whose runs they are."""
    compared: tuple[int, ...] = ()
    """The runs that were last beside each other."""

    def of(self, database: Path) -> "LastKept":
        """What holds in that database: in another, no run and no screen of one."""
        found = self if self.database == str(database.absolute()) else LastKept(self.place)
        return found if found.run or self.place not in ("live", "rationales") else replace(found, place="")


@dataclass(frozen=True, slots=True)
class RunsKept:
    """How the list of runs was left."""

    where: str = ""
    """The filter."""
    sort: str = ""
    """By which column or setting; "": the newest first."""
    ascending: bool = False
    """The least first."""
    columns: tuple[str, ...] = ()
    """Which, in their order; none: those that fit, of the usual ones."""
    groups: tuple[str, ...] = ()
    """Columns or settings that the list is a tree by."""
    archived: bool = False
    """Runs that were put away are shown too."""


@dataclass(frozen=True, slots=True)
class LiveKept:
    """How the live screen was left."""

    tab: str = setting("charts", "In front where panes do not fit side by side", ("charts", "stages", "log"))
    smooth: bool = setting(True, "Curves of single steps are smoothed")
    log_y: bool = setting(False, "Logarithmic axis for the losses")
    across: str = setting("step", "What charts go by", ("step", "epoch", "time"))
    second: bool = setting(False, "The other small charts: learning rate, gradient, memory")


@dataclass(frozen=True, slots=True)
class RationalesKept:
    """How the rationale screen was left."""

    wrap: bool = setting(True, "Long lines are wrapped")
    difference: bool = setting(True, "Words that differ between the chosen pair are marked")


@dataclass(frozen=True, slots=True)
class CompareKept:
    """How the compare screen was left."""

    tab: str = setting("curves", "In front where panes do not fit side by side", ("curves", "runs", "questions"))
    smooth: bool = setting(True, "Curves are smoothed")
    log_y: bool = setting(False, "Logarithmic axis")


@dataclass(frozen=True, slots=True)
class Kept:
    """Everything that is remembered."""

    runs: RunsKept = RunsKept()
    look: LookKept = LookKept()
    last: LastKept = LastKept()
    live: LiveKept = LiveKept()
    rationales: RationalesKept = RationalesKept()
    compare: CompareKept = CompareKept()
    keys: Mapping[str, str] = field(default_factory=dict)
    """Other keys than the table's, by their names there: {"live.pause": "P"}."""
