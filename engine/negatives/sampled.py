"""What a student writes to the explain prompt at a high temperature, sorted into negatives and the rest."""

from collections.abc import Sequence

from engine.answers.kinds import equal, parse
from engine.batches import Item
from engine.randomness import uniforms
from engine.ranks import ALONE, Ranks
from engine.records import Polarity, Rationale
from engine.spec.methods import Negatives
from engine.spec.sections import AnswerKind
from engine.students.seam import Student, Tokens
from engine.vote import NO_RATIONALE, RIGHT

AT_ONCE = 2**16
"""Tokens, of prompts and of what may be written, that are sampled at once: 700 questions of the built-in task."""


def write(
    student: Student,
    items: Sequence[Item],
    prompts: Sequence[Tokens],
    config: Negatives,
    *,
    source: str,
    kind: AnswerKind,
    iteration: int,
    max_new: int,
    seed: int,
    drop_right: bool,
    first_number: int,
    first_slot: int = 0,
    ranks: Ranks = ALONE,
) -> list[Rationale]:
    """`per_example` samples for each item, to its prompt in the writing student's own tokens.

    Each is kept as a Rationale (numbered on from `first_number`): polarity "dropped" where it ends in the label and
    `drop_right` or is an answer alone, "unparsed" where it is empty, else "negative". One without an answer is one.
    """
    order = sorted(range(len(items)), key=lambda i: len(prompts[i]))
    repeated = [i for i in order for _ in range(config.per_example)]
    longest = max((len(p) for p in prompts), default=0)
    size = max(1, AT_ONCE // (longest + max_new))

    def some(places: Sequence[int]) -> list[Rationale]:
        texts: list[str] = []
        for at in range(0, len(places), size):
            part = places[at : at + size]
            draws = uniforms(seed, part, max_new)
            texts += student.generate([prompts[repeated[p]] for p in part], max_new, config.temperature, draws)
        return [sorted_in(p, text) for p, text in zip(places, texts, strict=True)]

    def sorted_in(place: int, text: str) -> Rationale:
        item = items[repeated[place]]
        parsed = parse(kind, text, item.example.choices)
        wanted = right_answer(item)
        right = parsed.answer is not None and wanted is not None and equal(kind, wanted, parsed.answer)
        polarity: Polarity = "dropped" if right and drop_right else "negative"
        reason = RIGHT if polarity == "dropped" else None
        if not parsed.rationale:
            polarity, reason = ("unparsed", None) if parsed.answer is None else ("dropped", NO_RATIONALE)
        return Rationale(
            number=first_number + place,
            example_id=item.example.id,
            text=parsed.rationale,
            answer=parsed.answer,
            rule=parsed.rule,
            polarity=polarity,
            source=source,
            iteration=iteration,
            slot=first_slot + place % config.per_example,
            reason=reason,
        )

    return ranks.spread(range(len(repeated)), some)


def right_answer(item: Item) -> str | None:
    """What a negative of this item must not end in: its label, else its positives' answer."""
    return item.answer or next((c.rationale.answer for c in item.positives), None)
