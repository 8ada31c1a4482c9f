"""At most so much within any span of time: requests or tokens a minute. Pure: the caller brings the clock."""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Spent:
    """What one request takes of a ceiling."""

    at: float
    """When it was sent, in seconds of the caller's clock."""
    amount: int


@dataclass(slots=True)
class Ceiling:
    """No half-open span [t, t + span) sees more than `most` spent; what alone is more goes when nothing else counts."""

    most: float
    span: float = 60.0
    """Seconds."""
    _counted: deque[Spent] = field(default_factory=deque)
    _total: int = 0

    def wait(self, now: float, amount: int) -> float:
        """Seconds until `amount` may be spent; 0: now."""
        while self._counted and self._counted[0].at + self.span <= now:
            self._total -= self._counted.popleft().amount
        over = self._total + amount - self.most
        if over <= 0 or not self._counted:
            return 0.0
        for spent in self._counted:
            over -= spent.amount
            if over <= 0:
                break
        return spent.at + self.span - now

    def spend(self, now: float, amount: int) -> Spent:
        """Counts what is sent now; `now` never goes back."""
        spent = Spent(now, amount)
        self._counted.append(spent)
        self._total += amount
        return spent

    def correct(self, now: float, spent: Spent, amount: int) -> None:
        """What was spent turns out to be `amount`."""
        if spent.at + self.span > now:  # else it is forgotten already
            self._total += amount - spent.amount
            spent.amount = amount
