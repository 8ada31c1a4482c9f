"""What a step need not wait for, on a core that is idle: a small student computes on one thread by choice.

The same work with the same weights and random numbers, elsewhere: results equal those without it bit for bit.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from copy import copy, deepcopy
from typing import ParamSpec, TypeVar

import torch

from engine.cores import cores
from engine.parallel.ranks import Ranks
from engine.students.seam import Student

P = ParamSpec("P")
T = TypeVar("T")

SMALL = 2**22
"""Weights of a student that are copied for it (16 MB); larger ones take the cores for their own products."""
ASIDE = 2
"""Threads: one that writes for a second, one that reads for hundredths of one."""


class Here(Executor):
    """No other thread: what is submitted is done before `submit` returns, which raises what it raises."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As Executor's."""
        done: Future[T] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


HERE = Here()


def spare_core(student: Student, ranks: Ranks) -> Executor:
    """Threads of their own where the student leaves a core idle, else this one."""
    weights = sum(p.numel() for p in student.model.parameters())
    idle = student.device.type == "cpu" and torch.get_num_threads() == 1 and cores() > 1
    if not idle or ranks.count > 1 or weights > SMALL:
        return HERE
    return ThreadPoolExecutor(ASIDE, "aside", initializer=torch.set_num_threads, initargs=(1,))


def as_it_is_now(student: Student) -> Student:
    """A copy whose weights stay as they are while the student's go on changing."""
    found = copy(student)
    found.model, found.adapted = deepcopy((student.model, student.adapted))
    return found
