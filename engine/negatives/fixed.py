"""Negatives that never change: written once by the student at the end of iteration `lag`, used in all later ones.

The paper's ablation of self-adversarial negatives (its table of lags: fixed 66.5, lag 5 69.0 on SVAMP).
"""

from collections.abc import Sequence

from engine.negatives import sampled
from engine.negatives.sampled import How, Task
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
    seed: int,
    first_number: int,
    how: How,
) -> list[Rationale]:
    """`per_example` samples for each item from the weights as they are now."""
    task = Task(
        items,
        [x.explain for x in items],
        config,
        source="fixed",
        iteration=config.lag,
        seed=derive(seed, "fixed"),
        first_number=first_number,
        how=how,
    )
    return sampled.write(student, task)
