"""What a check before a run has found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from engine.errors import QcrdError

if TYPE_CHECKING:
    from engine.teacher.estimate import Estimate

T = TypeVar("T")


@dataclass(slots=True)
class Report:
    """What was found: (label, text) lines in order, and the problems, each one line."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    estimates: "list[Estimate]" = field(default_factory=list)
    """Of what its teachers will take, then its judge of steps; empty where nothing is asked."""

    def attempt(self, part: Callable[[], T]) -> T | None:
        """What a part of the check gives; None: it ended in a problem, which is noted."""
        try:
            return part()
        except QcrdError as error:
            self.problems.append(str(error))
        except OSError as error:
            self.problems.append(f"{error.filename or 'a file'}: {error.strerror or error}")
        return None


def in_bytes(count: float) -> str:
    """For people: 3 digits and a unit of thousands."""
    units: Sequence[str] = ("B", "KB", "MB", "GB", "TB")
    for unit in units[:-1]:
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} {units[-1]}"
