"""What a student writes to the explain prompt at a high temperature, sorted into negatives and the rest."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.answers.kinds import equal, parse
from engine.parallel.ranks import ALONE, Ranks
from engine.randomness import uniforms
from engine.records import Polarity, Rationale, Reason
from engine.spec.negatives import Negatives
from engine.spec.sections import AnswerKind
from engine.students.seam import Student, Tokens
from engine.training.batches import Item
from engine.training.memory import AtOnce

AT_ONCE = 2**16
"""Tokens, of prompts and of what may be written, that are sampled at once: 700 questions of the built-in task."""


@dataclass(frozen=True)
class How:
    """What is the same for all that a run's students write."""

    kind: AnswerKind
    max_new: int
    """Tokens of one rationale at most."""
    drop_right: bool
    """Those that end in the label are no negatives."""
    ranks: Ranks = ALONE
    at_once: AtOnce = field(default_factory=AtOnce)


def write(
    student: Student,
    items: Sequence[Item],
    prompts: Sequence[Tokens],
    config: Negatives,
    *,
    source: str,
    iteration: int,
    seed: int,
    first_number: int,
    how: How,
    first_slot: int = 0,
) -> list[Rationale]:
    """`per_example` samples for each item, to its prompt in the writing student's own tokens.

    Each is kept as a Rationale (numbered on from `first_number`): polarity "dropped" where it ends in the label and
    `how.drop_right` or is an answer alone, "unparsed" where it is empty, else "negative". One without an answer is one.
    """
    order = sorted(range(len(items)), key=lambda i: len(prompts[i]))
    repeated = [i for i in order for _ in range(config.per_example)]
    longest = max((len(p) for p in prompts), default=0)
    size = max(1, AT_ONCE // (longest + how.max_new))

    def some(places: Sequence[int]) -> list[Rationale]:
        groups = [places[at : at + size] for at in range(0, len(places), size)]
        texts = how.at_once.each("sampling negatives", groups, sample)
        return [sorted_in(p, text) for p, text in zip(places, texts, strict=True)]

    def sample(part: Sequence[int]) -> list[str]:
        draws = uniforms(seed, part, how.max_new)
        return student.generate([prompts[repeated[p]] for p in part], how.max_new, config.temperature, draws)

    def sorted_in(place: int, text: str) -> Rationale:
        item = items[repeated[place]]
        parsed = parse(how.kind, text, item.example.choices)
        wanted = right_answer(item)
        right = parsed.answer is not None and wanted is not None and equal(how.kind, wanted, parsed.answer)
        polarity: Polarity = "negative"
        reason: Reason = ""
        if not parsed.rationale:
            polarity = "unparsed" if parsed.answer is None else "dropped"
            reason = "" if parsed.answer is None else "no rationale"
        elif right and how.drop_right:
            polarity, reason = "dropped", "right"
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

    return how.ranks.spread(range(len(repeated)), some)


def right_answer(item: Item) -> str | None:
    """What a negative of this item must not end in: its label, else its positives' answer."""
    return item.answer or next((c.rationale.answer for c in item.positives), None)
