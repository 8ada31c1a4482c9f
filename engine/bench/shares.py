"""What the discriminator and the writing of negatives take of a training's time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Stopwatch:
    """Seconds of named parts of what runs; a part within another is its.

    By the clock: of the thread that made this, so of a part that goes on beside it only what it waits for. By CPU: of
    every thread that does one of the parts.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self._here = threading.get_ident()
        self._within = threading.local()

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
            if getattr(self._within, "part", None) is not None:
                return call(*arguments, **named)
            self._within.part = part
            wall, cpu = self.now()[0], _own_cpu()
            try:
                return call(*arguments, **named)
            finally:
                self._within.part = None
                if threading.get_ident() == self._here:
                    self.wall[part] = self.wall.get(part, 0.0) + self.now()[0] - wall
                self.cpu[part] = self.cpu.get(part, 0.0) + _own_cpu() - cpu

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


def _own_cpu() -> float:
    """Of this thread, and of those that compute for it."""
    return time.thread_time() if torch.get_num_threads() == 1 else time.process_time()
