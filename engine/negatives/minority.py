"""The teacher's outvoted rationales: sampled with the positives, paid for, and nothing more to write."""

from engine.records import Rationale, Voted
from engine.spec.negatives import Negatives


def of(config: Negatives, voted: Voted) -> tuple[Rationale, ...]:
    """The example's, where the source is asked for."""
    return voted.negatives if "minority" in config.sources else ()
