"""Self-adversarial negatives: what an earlier self of the student writes at a high temperature (section 3.1)."""

from collections.abc import Sequence

from engine.negatives import sampled
from engine.randomness import derive
from engine.records import Rationale
from engine.spec.negatives import Negatives
from engine.students.seam import Student
from engine.training.batches import Item


def write(
    student: Student,
    items: Sequence[Item],
    config: Negatives,
    *,
    iteration: int,
    seed: int,
    first_number: int,
    how: sampled.How,
) -> list[Rationale]:
    """`per_example` samples for each item from the weights as they are at the end of `iteration`."""
    return sampled.write(
        student,
        items,
        [x.explain for x in items],
        config,
        source="self",
        iteration=iteration,
        seed=derive(seed, "self", iteration),
        first_number=first_number,
        how=how,
    )
