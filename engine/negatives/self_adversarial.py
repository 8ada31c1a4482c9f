"""Self-adversarial negatives: what an earlier self of the student writes at a high temperature (section 3.1)."""

from collections.abc import Sequence

from engine.answers.kinds import equal, parse
from engine.batches import Item
from engine.randomness import generator
from engine.records import Polarity, Rationale
from engine.spec.methods import Negatives
from engine.spec.sections import AnswerKind
from engine.students.seam import Student

AT_ONCE = 2**16
"""Tokens, of prompts and of what may be written, that are sampled at once: 700 questions of the built-in task."""


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
) -> list[Rationale]:
    """`per_example` samples for each item from the weights as they are at the end of `iteration`.

    Each is kept as a Rationale (numbered on from `first_number`): polarity "dropped" where it ends in the label and
    `drop_right` or is an answer alone, "unparsed" where it is empty, else "negative". One without an answer is one.
    """
    order = sorted(range(len(items)), key=lambda i: len(items[i].explain))
    repeated = [i for i in order for _ in range(config.per_example)]
    random = generator(seed, "self", iteration)
    texts: list[str] = []
    longest = max((len(x.explain) for x in items), default=0)
    size = max(1, AT_ONCE // (longest + max_new))
    for at in range(0, len(repeated), size):
        prompts = [items[i].explain for i in repeated[at : at + size]]
        texts += student.generate(prompts, max_new, config.temperature, random)
    written = []
    for place, (i, text) in enumerate(zip(repeated, texts, strict=True)):
        item = items[i]
        parsed = parse(kind, text, item.example.choices)
        wanted = item.answer or next((c.rationale.answer for c in item.positives), None)
        right = parsed.answer is not None and wanted is not None and equal(kind, wanted, parsed.answer)
        polarity: Polarity = "dropped" if right and drop_right else "negative"
        if not parsed.rationale:
            polarity = "unparsed" if parsed.answer is None else "dropped"
        written.append(
            Rationale(
                number=first_number + place,
                example_id=item.example.id,
                text=parsed.rationale,
                answer=parsed.answer,
                rule=parsed.rule,
                polarity=polarity,
                source="self",
                iteration=iteration,
                slot=place % config.per_example,
            )
        )
    return written
