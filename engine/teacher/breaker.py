"""A circuit breaker: after a run of failures nothing is sent but a probe now and then, until one is answered.

Pure: the caller brings the clock.
"""

from dataclasses import dataclass

DOWN_AFTER = 10
"""So many failures in a row mean that the provider is down."""
FIRST_PAUSE = 10.0
"""Seconds to the first probe; they double with each that fails."""
LONGEST_PAUSE = 300.0
"""Seconds between probes at most."""


@dataclass(slots=True)
class Breaker:
    """Closed while `since` is None."""

    since: float | None = None
    """When it opened."""
    _streak: int = 0
    _pause: float = FIRST_PAUSE
    _next: float = 0.0
    _probing: bool = False

    @property
    def open(self) -> bool:
        """Whether requests are held back."""
        return self.since is not None

    def wait(self, now: float) -> float | None:
        """Seconds until a request may be sent; 0: now; None: when the probe under way has ended."""
        if self.since is None:
            return 0.0
        return None if self._probing else max(0.0, self._next - now)

    def send(self) -> bool:
        """A request is sent; whether it is a probe."""
        self._probing = self._probing or self.open
        return self.open

    def fail(self, now: float, probe: bool) -> bool:
        """A request failed as they do when a provider is down; whether the breaker opened by it."""
        if self.since is not None:
            if probe:
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
                self._next = now + self._pause
                self._probing = False
            return False
        self._streak += 1
        if self._streak < DOWN_AFTER:
            return False
        self.since, self._pause = now, FIRST_PAUSE
        self._next = now + self._pause
        return True

    def succeed(self) -> bool:
        """The provider answered, be it a probe or not; whether the breaker closed by it."""
        was_open = self.open
        self.since, self._streak, self._probing = None, 0, False
        return was_open

    def give_back(self, probe: bool) -> None:
        """A request was not sent after all, or nobody waits for it any more."""
        self._probing = self._probing and not probe
