"""Times of several ways to do one thing, taken in turns, so that whatever else the machine does hits all alike."""

import ctypes
import gc
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch

Arm = Callable[[], object]


class Taken(NamedTuple):
    """Seconds of one call: by the clock, and of this process's threads, which a busy machine disturbs less."""

    wall: float
    cpu: float


class Ends:
    """When each step of a loop ended."""

    def __init__(self) -> None:
        self.at: list[Taken] = []

    def note(self) -> None:
        """A step ends now."""
        self.at.append(Taken(time.perf_counter(), time.process_time()))

    def taken(self, first: int, last: int | None = None) -> list[Taken]:
        """Of the steps between those ends."""
        return [Taken(b.wall - a.wall, b.cpu - a.cpu) for a, b in pairwise(self.at[first:last])]


def in_turns(arms: Mapping[str, Arm], warm_up: int, repeats: int, device: torch.device) -> dict[str, list[Taken]]:
    """Time of each arm, `repeats` times, after `warm_up` calls that are not counted."""
    taken: dict[str, list[Taken]] = {name: [] for name in arms}
    for turn in range(warm_up + repeats):
        for name, arm in arms.items():
            _settle(device)
            wall, cpu = time.perf_counter(), time.process_time()
            arm()
            _settle(device)
            if turn >= warm_up:
                taken[name].append(Taken(time.perf_counter() - wall, time.process_time() - cpu))
    return taken


def spread(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    if len(values) == 1:
        return {"median": values[0], "q1": values[0], "q3": values[0]}
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "q1": low, "q3": high}


def ratio(values: list[Taken], peer: list[Taken]) -> dict[str, float]:
    """The median over turns of one arm's time by the other's in the same turn; least: of the least CPU times."""
    both = list(zip(values, peer, strict=True))
    return {
        "wall": statistics.median(a.wall / b.wall for a, b in both),
        "cpu": statistics.median(a.cpu / max(b.cpu, 1e-9) for a, b in both),
        "least": min(a.cpu for a in values) / max(min(b.cpu for b in peer), 1e-9),
    }


def peak_bytes(arm: Arm, device: torch.device) -> int | None:
    """How far memory grows while the arm runs: torch's on a GPU, the process's on Linux, None elsewhere."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        arm()
        return int(torch.cuda.max_memory_allocated(device) - before)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # glibc keeps what the arm before has freed
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
        before = kilobytes("VmRSS")
        arm()
        return max(0, kilobytes("VmHWM") - before) * 1024
    except OSError:
        return None


def kilobytes(name: str) -> int:
    """A line of /proc/self/status; OSError where there is none."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
