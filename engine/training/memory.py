"""Out of memory: what was tried is tried again in smaller parts, as if it had never been tried whole."""

import contextlib
import gc
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from engine.errors import SpecError
from engine.training.checkpoint import random_state, restore_random

T = TypeVar("T")
R = TypeVar("R")

SAID_BY_THE_CPU = "can't allocate memory"
"""The CPU's allocator raises a plain RuntimeError."""


def is_out_of_memory(error: BaseException) -> bool:
    """Of the GPU or of the machine."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and SAID_BY_THE_CPU in str(error)
    )


class AtOnce:
    """How many parts each kind of work without gradient is cut into, as far as a run has had to; for one process."""

    def __init__(self, say: Callable[[str], None] = lambda line: None) -> None:
        """`say`: told, once a kind of work, that it is cut."""
        self._say = say
        self._parts: dict[str, int] = {}

    def each(self, what: str, groups: Iterable[Sequence[T]], work: Callable[[Sequence[T]], Sequence[R]]) -> list[R]:
        """What `work` makes of all items, one result each, group by group; from where memory runs out of half as many.

        `work` is called again with items it failed on, so it must draw nothing from torch's global generators and wait
        for no other rank. Raises its error where a single item does not fit.
        """
        found: list[R] = []
        for group in groups:
            at = 0
            while at < len(group):
                part = group[at : at + max(1, -(-len(group) // self._parts.get(what, 1)))]
                try:
                    found += work(part)
                    at += len(part)
                    continue
                except (RuntimeError, MemoryError) as error:
                    if len(part) == 1 or not is_out_of_memory(error):
                        raise
                # out here the traceback, and with it the tensors of the failed try, is gone
                if what not in self._parts:
                    self._say(f"out of memory in {what} with {len(part)} at once: goes on with half as many, or fewer")
                self._parts[what] = 2 * self._parts.get(what, 1)
                _give_back()
        return found


def step_that_fits(
    take: Callable[[int], T],
    module: torch.nn.Module,
    batch: int,
    micro_batch: int,
    halved: Callable[[int, int], None],
) -> tuple[T, int]:
    """`take(micro_batch)`, halving until it fits; with the micro-batch that did, 0 where it is the whole batch.

    Gradients, torch's generators and the mode of `module` are as they were before each new try. Tells `halved` the
    former and the new micro-batch. Raises QcrdError where one question alone does not fit.
    """
    before = random_state()
    while True:
        try:
            return take(micro_batch), micro_batch
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # out here the traceback, and with it the tensors of the failed try, is gone
        size = min(micro_batch or batch, batch)
        if size == 1:
            raise SpecError(
                "a single question with its rationales does not fit in memory: lower student.max_rationale_tokens or "
                "student.max_question_tokens, or set compute.gradient_checkpointing = true"
            )
        micro_batch = (size + 1) // 2
        halved(size, micro_batch)
        for p in module.parameters():
            p.grad = None
        module.train()
        restore_random(before)
        _give_back()


def held(device: torch.device) -> dict[str, float]:
    """What this process holds, in MB, by the name of its metric; of a GPU the most since the last call."""
    found: dict[str, float] = {}
    with contextlib.suppress(OSError):  # Linux alone has it
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        found["memory/host"] = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    if device.type == "cuda":
        found["memory/gpu"] = torch.cuda.max_memory_allocated(device) / 1e6
        torch.cuda.reset_peak_memory_stats(device)
    return found


def _give_back() -> None:
    """What failed tries have left, to the allocator and to the machine."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
