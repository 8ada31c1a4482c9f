"""One way to score rationales, be it by a ranking model or by QCRD's discriminator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from safetensors import SafetensorError

from engine.answers.kinds import join
from engine.errors import QcrdError, UsageError
from engine.judge import ranking
from engine.judge.discriminator import Discriminator
from engine.judge.ranking import RankingModel
from engine.runs import learned as learning
from engine.spec.methods import Qcrd
from engine.store.runs.evaluations import JudgeKey
from engine.store.runs.run import run_place
from engine.students.load import pick_device


class Scorer(Protocol):
    """What weighs votes."""

    def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """Of (question, rationale), each in [0, 1]; None: over-long."""
        ...


@dataclass(frozen=True)
class ByRanking:
    """A ranking model; what is over its limit has no score."""

    model: RankingModel

    def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """As `Scorer`."""
        read = [self.model.pair(question, rationale) for question, rationale in pairs]
        found = iter(self.model.judge([pair for pair in read if pair is not None]))
        return [None if pair is None else next(found) for pair in read]


@dataclass(frozen=True)
class ByDiscriminator:
    """QCRD's discriminator, which cuts what is over its limits."""

    judge: Discriminator

    def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """As `Scorer`."""
        return list(self.judge.judge([self.judge.pair(question, rationale) for question, rationale in pairs]).tolist())


@dataclass(frozen=True)
class Judge:
    """A run's scorer."""

    key: JudgeKey
    scorer: Scorer
    answer_in_rationale: bool
    """Whether the rationales that it has learnt from ended in their answer."""

    def text(self, rationale: str, answer: str | None) -> str:
        """A rationale in the form that it knows."""
        return join(rationale, answer) if self.answer_in_rationale and answer is not None else rationale


def key_of(database: Path, run_id: int) -> JudgeKey:
    """Which scorer that run has now. Raises UsageError where it has none."""
    spec, folder, step = run_place(database, run_id)
    if not spec.trains_student:
        if not (folder / "ranking").is_dir():
            raise UsageError(f"the ranking model of run {run_id} is not trained yet: `qcrd resume {run_id}` goes on")
        return JudgeKey(run_id, step)
    if not (isinstance(spec.method, Qcrd) and spec.method.judged):
        raise UsageError(
            f"run {run_id} ({spec.method.name}) has neither a ranking model nor a discriminator: name a run of the "
            "method ranking, or of qcrd"
        )
    found = learning.place(database, run_id)
    if found.step is None:
        raise UsageError(f"only the exported student is left of run {run_id}: its discriminator is gone")
    return JudgeKey(run_id, found.step)


def load(database: Path, key: JudgeKey, doing: Callable[[str], None] = lambda line: None) -> Judge:
    """That scorer. Raises QcrdError where it cannot be read."""
    spec, folder, _ = run_place(database, key.run_id)
    if spec.trains_student:
        loaded = learning.load(learning.place(database, key.run_id), doing)
        if loaded.judge is None:
            raise QcrdError(f"run {key.run_id}: {loaded.note}")
        return Judge(key, ByDiscriminator(loaded.judge), spec.student.answer_in_rationale)
    doing("loading the ranking model")
    try:
        model = ranking.load(folder / "ranking").to(pick_device("auto"))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise QcrdError(f"the ranking model of run {key.run_id} could not be read ({error})") from error
    return Judge(key, ByRanking(model), spec.student.answer_in_rationale)
