"""A batch while it is worked on, and what the steps of its life need: rows, orders, budget, a way to wait."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from engine.spec.teachers import TeacherConfig
from engine.store.ledger.ledger import Ledger
from engine.store.ledger.rows import Sent
from engine.teacher.batches.lines import MOST_LINES
from engine.teacher.budget import Budget, Cost
from engine.teacher.buying import POLL, Orders
from engine.teacher.outcome import Fault
from engine.teacher.price import Price
from engine.teacher.requests import Unit


@dataclass(slots=True)
class Seller:
    """A teacher whose batches are made."""

    teacher: TeacherConfig
    price: Price | None
    together: bool
    """Whether a line may ask for several samples."""
    queue: deque[Unit] = field(default_factory=deque)
    most_lines: int = MOST_LINES
    """Of one batch; less where the provider has refused as many."""
    full: bool = False
    """The provider takes no more before something has ended."""
    last: Fault | None = None
    """Of the lines that were given up."""


@dataclass(frozen=True, slots=True)
class Line:
    """A request in a batch, and the most that it can cost."""

    unit: Unit
    sent: Sent
    most: Cost


@dataclass(slots=True)
class Batch:
    """A batch whose rows are written and that is not settled."""

    seller: Seller
    row: int
    tag: str
    size: int
    """Lines that it was written with."""
    lines: dict[str, Line]
    """Those without an answer, by their names in the file."""
    provider_id: str | None = None
    input_file: str | None = None
    tried_at: float | None = None
    """When its submission was sent, where it is not known whether the provider has it."""
    done: int = 0
    """Lines, as the provider counts."""
    broken: int = 0
    """Lines of the output that could not be read."""
    fetches: int = 0
    silent: bool = False
    """Whether the last look at it failed."""

    @property
    def examples(self) -> int:
        """Questions that its lines are of."""
        return len({e for line in self.lines.values() for e in line.unit.request.examples})


@dataclass(frozen=True, slots=True)
class Desk:
    """What every step needs."""

    ledger: Ledger
    orders: Orders
    budget: Budget
    say: Callable[[str, str], None]
    sleep: Callable[[float], None]
    clock: Callable[[], float]
    """Seconds since 1970."""
    backoff: float
    """Seconds before a call is tried again for the first time; doubled with each try."""

    def rest(self, seconds: float) -> None:
        """Waits, but raises Interrupted as soon as the orders do."""
        while seconds > 0:
            self.orders.poll()
            step = min(POLL, seconds)
            self.sleep(step)
            seconds -= step
        self.orders.poll()
