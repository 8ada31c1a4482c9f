"""What a run may spend: each try reserves the most that it can cost, and pays what it did cost."""

from dataclasses import dataclass

from engine.errors import AtLimit, UsageError
from engine.spec.teachers import TeacherConfig
from engine.store.ledger.ledger import Spent
from engine.teacher.price import Price
from engine.text import in_dollars


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one try: the most it can be, or what it was."""

    usd: float | None
    """None: nobody knows the price."""
    tokens: int | None


@dataclass(slots=True)
class Budget:
    """Limits, and what is spent or reserved under them; for one thread."""

    usd: float | None
    tokens: int | None
    calls: int | None
    spent: Spent
    reserved_usd: float = 0.0
    reserved_tokens: int = 0

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return not (self.usd is None and self.tokens is None and self.calls is None)

    def refusal(self, most: Cost) -> str | None:
        """Which limit a try that costs so much could break, and how far it is; None where it may start."""
        usd, tokens = most.usd or 0.0, most.tokens or 0
        if self.calls is not None and self.spent.calls + 1 > self.calls:
            return f"teacher.budget_calls = {self.calls}: {self.spent.calls} made"
        if self.tokens is not None and self.spent.tokens + self.reserved_tokens + tokens > self.tokens:
            return f"teacher.budget_tokens = {self.tokens}: {self.spent.tokens} used, the next call can take {tokens}"
        if self.usd is not None and self.spent.usd + self.reserved_usd + usd > self.usd:
            next_call = f"the next call can cost {in_dollars(usd)}"
            return f"teacher.budget_usd = {self.usd:g}: ${self.spent.usd:.6g} spent, {next_call}"
        return None

    def reserve(self, most: Cost) -> None:
        """A try starts."""
        self.spent = Spent(self.spent.usd, self.spent.tokens, self.spent.calls + 1, self.spent.unpriced)
        self.reserved_usd += most.usd or 0.0
        self.reserved_tokens += most.tokens or 0

    def settle(self, most: Cost, was: Cost, sent: bool = True) -> None:
        """The try that reserved `most` has ended and cost `was`; what is unknown of that counts as the most.
        `sent`: False where the provider never saw it: no call then."""
        self.reserved_usd -= most.usd or 0.0
        self.reserved_tokens -= most.tokens or 0
        usd = most.usd if was.usd is None else was.usd
        tokens = most.tokens if was.tokens is None else was.tokens
        self.spent = Spent(
            self.spent.usd + (usd or 0.0),
            self.spent.tokens + (tokens or 0),
            self.spent.calls - (not sent),
            self.spent.unpriced + (usd is None),
        )


def budget_of(teacher: TeacherConfig, spent: Spent) -> Budget:
    """The teacher's limits over what the run has spent in all its sessions."""
    return Budget(teacher.budget_usd, teacher.budget_tokens, teacher.budget_calls, spent)


def check_budget(teacher: TeacherConfig, price: Price | None) -> None:
    """Raises UsageError where there is a limit in dollars and no price to hold it by."""
    if teacher.budget_usd is not None and price is None:
        raise UsageError(
            f"teacher.budget_usd: the price of {teacher.model} is unknown; give teacher.input_usd_per_million and "
            "teacher.output_usd_per_million (0 where it costs nothing)"
        )


def reached(refusal: str, run_id: int) -> AtLimit:
    """The end of a run at its limit, and how to go on."""
    key = refusal.partition(" ")[0]
    return AtLimit(
        f"the budget is used up, {refusal}",
        f"what is paid for is stored: raise it with `qcrd resume {run_id} --set {key}=…`",
    )
