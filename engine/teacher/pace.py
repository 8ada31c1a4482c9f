"""How many requests to one teacher may be in flight now. Pure: the caller brings the clock.

Additive increase, multiplicative decrease as in TCP (Jacobson 1988; RFC 5681, section 3.1): from a small start the
window grows by one with each answer, above the slow-start threshold by one a round trip; on a sign of overload it
becomes half of what is in flight, once a round trip. 429 is such a sign, and so are 5xx and timeouts where they are
many: each by itself would keep the window at sqrt(1.5 / their share) (Mathis et al. 1997), 12 at one in a hundred. On
top lie the ceilings of a minute, Retry-After and the breaker.
"""

import math
from collections import deque
from dataclasses import dataclass

from engine.teacher.breaker import DOWN_AFTER, FIRST_PAUSE, Breaker
from engine.teacher.ceiling import Ceiling, Spent
from engine.teacher.outcome import Fault

START = 8
"""Requests in flight at the beginning."""
BURST_SPAN = 6.0
"""Seconds in which a tenth of a minute's requests may be sent: providers count in parts of a minute, too."""
LONGEST_MINUTE = 60.0
"""Seconds of a Retry-After that are always waited: the quota of a minute is no outage."""
MEMORY = 0.9
"""What the share of faults keeps of itself with each request that ends."""
TOO_MANY = 0.2
"""Share of 5xx, timeouts and lost connections that is a sign of overload: three in a row make it, two do not."""
TOLD_FROM = 5.0
"""Seconds of a Retry-After that are worth a line of the log."""
DOWN = ("unreachable", "timeout", "server", "body")
"""Faults that say nothing about the question and much about the provider."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request in flight."""

    number: int
    """Counts the requests of this teacher from 0."""
    probe: bool
    """Sent to learn whether the provider is back."""
    spent: tuple[Spent, ...]
    tokens: Spent


class Pace:
    """One teacher's pace. `wait`, then `start`, then one of `answered`, `failed` and `abandoned`; for one thread.

    `notes` may be read from another: (level, line) for the run's log, oldest first.
    """

    def __init__(self, name: str, most: int, rpm: int | None, tpm: int | None, reached: bool = False) -> None:
        """`most`: requests in flight. `rpm`, `tpm`: requests and tokens a minute. `reached`: it is known to exist."""
        self.name = name
        self.most = most
        self.window = float(min(START, most))
        self.in_flight = 0
        self.reached = reached
        """Until a server has said anything, failures open no breaker: the address may be wrong."""
        self.held_until = -math.inf
        """The provider's Retry-After."""
        self.breaker = Breaker()
        self.notes: deque[tuple[str, str]] = deque()
        self.last: Fault | None = None
        self._threshold = math.inf
        self._faults = 0.0
        self._requests = [Ceiling(rpm), Ceiling(max(1.0, rpm / 10), BURST_SPAN)] if rpm else []
        self._tokens = Ceiling(tpm or math.inf)
        self._next = 0
        self._halved_at = 0

    def wait(self, now: float, tokens: int) -> float | None:
        """Seconds until a request of so many tokens (at most) may be sent; 0: now; None: when another has ended."""
        probe = self.breaker.wait(now)
        if probe is None or self.in_flight >= int(self.window):
            return None
        ceilings = max((c.wait(now, 1) for c in self._requests), default=0.0)
        return max(probe, self.held_until - now, ceilings, self._tokens.wait(now, tokens), 0.0)

    def start(self, now: float, tokens: int) -> Ticket:
        """The request is sent: `wait` has just given 0."""
        self.in_flight += 1
        self._next += 1
        spent = tuple(c.spend(now, 1) for c in self._requests)
        return Ticket(self._next - 1, self.breaker.send(), spent, self._tokens.spend(now, tokens))

    def answered(self, now: float, ticket: Ticket, tokens: int | None) -> None:
        """An answer came; `tokens`: what was billed, where it is known."""
        self.in_flight -= 1
        if tokens is not None:
            self._tokens.correct(now, ticket.tokens, tokens)
        self._faults *= MEMORY
        self._is_up(now)
        self.window = min(self.most, self.window + (1 if self.window < self._threshold else 1 / self.window))

    def failed(self, now: float, ticket: Ticket, fault: Fault) -> None:
        """A fault came instead."""
        self.reached = self.reached or fault.status is not None
        alone = self.window < 2
        if fault.kind in DOWN:
            self._faults += (1 - MEMORY) * (1 - self._faults)
        if fault.kind == "rate-limit" or fault.retry_after is not None or self._faults > TOO_MANY:
            self._slow_down(ticket)
        self.in_flight -= 1
        if fault.retry_after is not None:
            self._hold(now, fault.retry_after)
        # too many requests says that it is down only when it cannot be asked any slower
        if fault.kind in DOWN or (fault.kind == "rate-limit" and (alone or self.breaker.open)):
            self.last = fault
            if self.reached and self.breaker.fail(now, ticket.probe):
                self.notes.append((
                    "warning",
                    f"{self.name} is down: {DOWN_AFTER} requests in a row failed, the last {fault}; nothing is sent "
                    f"but a probe now and then, the first in {FIRST_PAUSE:.0f} s",
                ))  # fmt: skip
        elif fault.kind != "rate-limit":
            self._is_up(now)

    def abandoned(self, ticket: Ticket) -> None:
        """Nobody waits for it any more."""
        self.in_flight -= 1
        self.breaker.give_back(ticket.probe)

    def hopeless(self, now: float, patience: float) -> str | None:
        """Why there is no sense in waiting, where it has been down for `patience` seconds or asks to wait for more."""
        if self.held_until - now > max(patience, LONGEST_MINUTE):
            return f"asks to wait {_duration(self.held_until - now)}"
        if self.breaker.since is not None and now - self.breaker.since >= patience:
            return f"went down: no answer for {_duration(now - self.breaker.since)}"
        return None

    def _slow_down(self, ticket: Ticket) -> None:
        if ticket.number < self._halved_at:  # sent before the window was last halved: the same trouble
            return
        self._halved_at = self._next
        self.window = self._threshold = max(1.0, min(self.window, self.in_flight) / 2)

    def _hold(self, now: float, seconds: float) -> None:
        if now + seconds > max(self.held_until, now) + TOLD_FROM:
            self.notes.append(("info", f"{self.name} asks to wait {_duration(seconds)}: nothing is sent before that"))
        self.held_until = max(self.held_until, now + seconds)

    def _is_up(self, now: float) -> None:
        self.reached = True
        since = self.breaker.since
        if self.breaker.succeed() and since is not None:
            self.window = 1.0
            self.notes.append(("info", f"{self.name} answers again after {_duration(now - since)}: going on"))


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
