"""Self-adversarial negatives: what an earlier self of the student writes at a high temperature (section 3.1)."""

from collections.abc import Sequence

from engine.batches import Item
from engine.negatives import sampled
from engine.randomness import derive
from engine.ranks import ALONE, Ranks
from engine.records import Rationale
from engine.spec.methods import Negatives
from engine.spec.sections import AnswerKind
from engine.students.seam import Student


def write(
    student: Student,
    items: Sequence[Item],
    config: Negatives,
    *,
    kind: AnswerKind,
    iteration: int,
    max_new: int,
    seed: int,
    drop_right: bool,
    first_number: int,
    ranks: Ranks = ALONE,
) -> list[Rationale]:
    """`per_example` samples for each item from the weights as they are at the end of `iteration`."""
    return sampled.write(
        student,
        items,
        [x.explain for x in items],
        config,
        source="self",
        kind=kind,
        iteration=iteration,
        max_new=max_new,
        seed=derive(seed, "self", iteration),
        drop_right=drop_right,
        first_number=first_number,
        ranks=ranks,
    )
