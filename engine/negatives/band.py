"""Negatives within a band of quality, scored by a second judge.

The judge is a discriminator of its own: pre-trained like the method's, on the same teacher's rationales but from
another seed (and another encoder, where one is named), and never updated after. Were it the method's own, which goes
on learning from these negatives, the band would move with it and the weights (1 - s) would be those that were
selected for; and methods without a discriminator could have no band. Each negative is scored once, when it comes in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors.torch import save_file

from engine.judge import training as judge_training
from engine.judge.discriminator import Discriminator, Judged, build
from engine.parallel.ranks import ALONE, Ranks
from engine.randomness import derive
from engine.records import Rationale, Voted
from engine.spec.methods import QcrdDiscriminator
from engine.spec.run import RunSpec
from engine.students.seam import Student
from engine.training.batches import Item
from engine.training.checkpoint import load_weights, weights

AT_ONCE = 4096
"""Pairs whose scores are asked for at once."""


@dataclass(frozen=True)
class Band:
    """A judge and the qualities, both ends included, that it lets through."""

    judge: Discriminator
    low: float
    high: float
    ranks: Ranks = ALONE

    def within(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """Which (question, rationale) lie in the band."""
        return self.ranks.spread(pairs, self._verdicts)

    def _verdicts(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        found: list[bool] = []
        for at in range(0, len(pairs), AT_ONCE):
            scores = self.judge.judge([self.judge.pair(*pair) for pair in pairs[at : at + AT_ONCE]])
            found += [self.low <= s <= self.high for s in scores.tolist()]
        return found

    def sort(self, written: Sequence[Rationale], questions: dict[str, str]) -> list[Rationale]:
        """The same rationales, negatives outside the band dropped; `questions` by example id."""
        judged = [r for r in written if r.polarity == "negative"]
        verdicts = self.within([(questions[r.example_id], r.text) for r in judged])
        outside = {r.number for r, keep in zip(judged, verdicts, strict=True) if not keep}
        return [_outside(r) if r.number in outside else r for r in written]

    def keep(self, items: Sequence[Item]) -> list[Item]:
        """The items, with those of their negatives that lie in the band."""
        verdicts = iter(self.within([(x.example.question, c.text) for x in items for c in x.negatives]))
        return [replace(x, negatives=tuple(c for c in x.negatives if next(verdicts))) for x in items]


def _outside(negative: Rationale) -> Rationale:
    return replace(negative, polarity="dropped", reason="band")


def marked(voted: Sequence[Voted], before: Sequence[Item], after: Sequence[Item]) -> tuple[Voted, ...]:
    """The votes, with those negatives dropped that the items had before the band and have no more."""
    there, kept = ({c.rationale.number for x in items for c in x.negatives} for items in (before, after))

    def of(v: Voted) -> Voted:
        out = [r for r in v.negatives if r.number in there - kept]
        if not out:
            return v
        return replace(
            v, negatives=tuple(r for r in v.negatives if r not in out), others=(*v.others, *map(_outside, out))
        )

    return tuple(map(of, voted))


def judge_of(
    spec: RunSpec,
    student: Student,
    examples: Sequence[Judged],
    held_out: Sequence[Judged],
    folder: Path,
    on_step: Callable[[int, float], None],
) -> Band | None:
    """The band that the spec asks for; its judge is pre-trained once and kept in the run's folder."""
    config = spec.negatives
    if config is None or config.band is None:
        return None
    limits = spec.student.max_question_tokens, spec.student.max_rationale_tokens
    seed = derive(spec.seed, "band")
    judge = build(config.band_encoder, student, *limits, seed)
    file = folder / "band.safetensors"
    if file.is_file():
        load_weights(judge, file)
    else:
        training = QcrdDiscriminator()
        optimizer = judge_training.optimizer(judge, training)
        judge_training.pretrain(judge, optimizer, examples, held_out, training, seed, on_step)
        partial = file.with_name(file.name + ".partial")
        save_file(weights(judge), partial)
        partial.rename(file)  # whole or not at all
    return Band(judge, *config.band)
