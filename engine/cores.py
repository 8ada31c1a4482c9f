"""The CPU cores that this process may use."""

import os


def cores() -> int:
    """How many; those that a scheduler or taskset keeps from it are none of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
