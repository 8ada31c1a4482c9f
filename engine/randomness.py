"""Random numbers by purpose: each use has its own named stream, so that a resumed run needs no saved state."""

import hashlib
from collections.abc import Sequence

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, e.g. derive(0, "order", epoch); equal on every machine."""
    text = ":".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def uniforms(seed: int, rows: Sequence[int], columns: int) -> torch.Tensor:
    """(rows, columns) float64 numbers in [0, 1); each row from the stream of its number, whichever others there are."""
    found = torch.empty(len(rows), columns, dtype=torch.float64)
    random = torch.Generator()  # one for all: to make each its own took three times as long
    for at, row in enumerate(rows):
        found[at].uniform_(generator=random.manual_seed(derive(seed, row)))
    return found


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator for one purpose."""
    return torch.Generator().manual_seed(derive(seed, *purpose))
