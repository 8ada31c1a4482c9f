"""What the console remembers from one start to the next: a section for each screen that keeps something."""

from dataclasses import dataclass


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
class Kept:
    """Everything that is remembered."""

    runs: RunsKept = RunsKept()
