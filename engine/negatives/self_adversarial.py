"""Self-adversarial negatives: what an earlier self of the student writes at a high temperature (section 3.1)."""

from collections.abc import Sequence

from engine.negatives.sampled import How, Task
from engine.randomness import derive
from engine.spec.negatives import Negatives
from engine.training.batches import Item


def task(items: Sequence[Item], config: Negatives, *, iteration: int, seed: int, first_number: int, how: How) -> Task:
    """`per_example` samples for each item, for the student as it is at the end of `iteration`."""
    return Task(
        items,
        [x.explain for x in items],
        config,
        source="self",
        iteration=iteration,
        seed=derive(seed, "self", iteration),
        first_number=first_number,
        how=how,
    )
