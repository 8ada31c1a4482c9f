"""Which pairs an encoder reads together."""

from collections.abc import Sequence

import torch

GROUP_CPU, GROUP = 2**16, 2**22
"""Pairs times their longest squared: pairs read at once, on a CPU and elsewhere. Attention pays for padding in squares;
on a CPU 86 pairs took 26 ms in groups of twice this size and 24 in these, which its caches hold."""


def read_together(lengths: Sequence[int], device: torch.device) -> list[list[int]]:
    """The places of pairs that are read together, shortest first; one group, empty, where there are none."""
    most = GROUP_CPU if device.type == "cpu" else GROUP
    groups: list[list[int]] = [[]]
    for j in sorted(range(len(lengths)), key=lengths.__getitem__):
        if groups[-1] and (len(groups[-1]) + 1) * lengths[j] ** 2 > most:
            groups.append([])
        groups[-1].append(j)
    return groups
