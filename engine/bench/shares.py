"""What the discriminator and the writing of negatives take of a training's time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Stopwatch:
    """Seconds of named parts of what runs, by the clock and of this process's threads; a part within another is its."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self._within = False

    @contextmanager
    def watches(self, owner: Any, name: str, part: str) -> Iterator[None]:
        """Calls of `owner.name` count as `part` until it ends."""
        before = getattr(owner, name)
        setattr(owner, name, self._timed(before, part))
        try:
            yield
        finally:
            setattr(owner, name, before)

    def _timed(self, call: Callable[..., Any], part: str) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            if self._within:
                return call(*arguments, **named)
            self._within = True
            wall, cpu = self.now()
            try:
                return call(*arguments, **named)
            finally:
                self._within = False
                after = self.now()
                self.wall[part] = self.wall.get(part, 0.0) + after[0] - wall
                self.cpu[part] = self.cpu.get(part, 0.0) + after[1] - cpu

        return timed

    def now(self) -> tuple[float, float]:
        """The clock's and this process's seconds, once the device has done what it was told."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter(), time.process_time()

    def start(self) -> tuple[float, float]:
        """Forgets what was measured."""
        self.wall, self.cpu = {}, {}
        return self.now()

    def shares(self, since: tuple[float, float], parts: tuple[str, ...]) -> dict[str, dict[str, float]]:
        """Each part's share of the time since then, and all of theirs together."""
        now = self.now()
        found = {}
        for name, taken, total in (("wall", self.wall, now[0] - since[0]), ("cpu", self.cpu, now[1] - since[1])):
            found[name] = {part: taken.get(part, 0.0) / max(total, 1e-9) for part in parts}
            found[name]["together"] = sum(found[name].values())
        return found
