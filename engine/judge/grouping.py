"""Which pairs an encoder reads together."""

from collections.abc import Sequence

import torch

GROUP_CPU, GROUP = 2**16, 2**22
"""Pairs times their longest squared: pairs read at once, on a CPU and elsewhere. Attention pays for padding in squares;
on a CPU 70 pairs took 102 ms at once, 38 in three groups, 34 in six, which its caches hold."""


def read_together(lengths: Sequence[int], device: torch.device) -> list[list[int]]:
    """The places of pairs that are read together, shortest first; one group, empty, where there are none."""
    most = GROUP_CPU if device.type == "cpu" else GROUP
    groups: list[list[int]] = [[]]
    for j in sorted(range(len(lengths)), key=lengths.__getitem__):
        if groups[-1] and (len(groups[-1]) + 1) * lengths[j] ** 2 > most:
            groups.append([])
        groups[-1].append(j)
    return groups
