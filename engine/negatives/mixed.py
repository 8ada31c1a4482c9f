"""Negatives mixed by shares: at a visit an example has those of one source, drawn by its share."""

from collections.abc import Mapping, Sequence

from engine.spec.negatives import Source
from engine.training.batches import Candidate


def drawn(shares: Mapping[Source, float], negatives: Sequence[Candidate], draw: float) -> tuple[Candidate, ...]:
    """All negatives where no shares are given; else those of one source, by a uniform number in [0, 1).

    Among the sources that the example has a negative of at this visit: the others' chance is theirs in proportion.
    """
    if not shares:
        return tuple(negatives)
    there = {name: share for name, share in shares.items() if any(c.rationale.source == name for c in negatives)}
    left = draw * sum(there.values())
    for name, share in there.items():
        left -= share
        if left < 0:
            return tuple(c for c in negatives if c.rationale.source == name)
    last = list(there)[-1:]  # rounding
    return tuple(c for c in negatives if c.rationale.source in last)
