"""Which frame comes first: what is new waits while keys are pressed, so that no key comes upon a frame under way.

A frame of new data takes as long as two of a key's. What waits is drawn when no key came for a moment; where they keep
coming it is drawn behind the frame of one of them, the moment at which the next is furthest.
"""

import math

from screens.reading.reader import Snapshot

QUIET = 0.15
"""Seconds without a key."""
LATE = 1.0
"""Seconds that it waits at most for that."""


class Frames:
    """Times are a clock's that never goes back, in seconds."""

    def __init__(self) -> None:
        self._pressed = -math.inf
        self._waiting: Snapshot | None = None
        self._since = 0.0

    def pressed(self, now: float) -> None:
        """A key came."""
        self._pressed = now

    def hasten(self) -> None:
        """The key asked for something whose answer comes as data."""
        self._pressed = -math.inf

    def waits(self, snapshot: Snapshot, now: float) -> bool:
        """Whether this has to wait."""
        if now - self._pressed >= QUIET:
            return False
        if self._waiting is None:
            self._since = now
        self._waiting = snapshot
        return True

    def drawn(self) -> None:
        """Something was: what waited was read before it."""
        self._waiting = None

    @property
    def any_waits(self) -> bool:
        """Whether there is something to be drawn later."""
        return self._waiting is not None

    def due(self, now: float) -> Snapshot | None:
        """What is to be drawn now, if anything is; it waits no more."""
        if now - self._pressed < QUIET and now - self._since < LATE:
            return None
        snapshot, self._waiting = self._waiting, None
        return snapshot
