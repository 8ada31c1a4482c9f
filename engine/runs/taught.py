"""What the teacher has left for a run: the votes on its samples, or, without one, the gold answers alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

from engine.errors import SpecError
from engine.evaluation.evaluate import is_right
from engine.evaluation.sampled import mean
from engine.records import Example, Sample, Voted, all_rationales
from engine.runs.orders import Orders
from engine.spec.run import RunSpec
from engine.store.ledger.ledger import Ledger
from engine.store.ledger.spend import note_spend
from engine.store.recorder import Recorder
from engine.teacher.verdicts import step_judge_of, verdicts
from engine.training.batches import explain_prompt, predict_prompt, target_text
from engine.voting.selection import select, unread
from engine.voting.step_judge import Ask, Messages
from engine.voting.vote import Vote, vote

REPORTED = 20
"""Examples between two looks at the orders while the vote goes on: latex takes its time."""


@dataclass(frozen=True)
class Taught:
    """What the teacher left: votes of the training and of the validation questions."""

    train: tuple[Voted, ...]
    validation: tuple[Voted, ...]
    rationales: int
    """How many the store holds; the student's own are numbered on from here."""


def take_vote(
    spec: RunSpec,
    train_examples: tuple[Example, ...],
    validation: tuple[Example, ...],
    samples: Mapping[str, list[Sample]],
    recorder: Recorder,
    orders: Orders,
) -> Taught:
    """Votes on both splits and selects, the judge of steps asked where the spec has one; what is counted and scored are
    the training questions."""
    ask = _judge(spec, recorder, orders)

    def votes(examples: tuple[Example, ...], first_number: int, before: int) -> Vote:
        def on_example(done: int) -> None:
            if done % REPORTED == 0:
                orders.raise_if_stopped()
                recorder.stage("vote", done=before + done)

        result = vote(
            examples,
            samples,
            kind=spec.data.answer,
            tie=spec.vote.tie,
            labels=spec.data.labels,
            drop_right_negatives=spec.vote.drop_right_negatives,
            pattern=spec.data.answer_pattern,
            first_number=first_number,
            on_example=on_example,
        )
        chosen = select(result, spec.selection, kind=spec.data.answer, labels=spec.data.labels, ask=ask)
        if (warning := unread(chosen.facts)) is not None:
            recorder.log("warning", warning, "vote")
        return chosen

    result = votes(train_examples, 0, 0)
    count = len(all_rationales(result.voted))
    for name, value in result.facts.items():
        recorder.fact("vote", name, value)
    right, total = int(result.facts["sample right"]), int(result.facts["sample total"])
    # samples of one question are no independent trials: the interval is over questions
    recorder.score("train", "teacher sample", "", 0, right, total, mean(result.right_shares).interval)
    right, total = int(result.facts["vote right"]), int(result.facts["vote total"])
    recorder.score("train", "teacher vote", "", 0, right, total)
    answered = any(v.answer is not None and not v.rejected for v in result.voted)
    if not (answered if spec.method.name == "single-task" else any(v.positives for v in result.voted)):
        if gone := sum(int(n) for name, n in result.facts.items() if name.startswith("dropped/")):
            raise SpecError(
                f"nothing to learn from {count} samples: [selection] dropped {gone} rationales; loosen it "
                "(`qcrd query \"SELECT name, value FROM facts WHERE stage = 'vote'\"` has the counts)"
            )
        raise SpecError(
            f"nothing to learn from {count} samples: {int(result.facts['rule/miss'])} have no answer of the kind "
            f"{spec.data.answer!r}, {int(result.facts['ties'])} questions are ties; look at "
            f"`qcrd misses {recorder.run_id}`, then mend data.answer, data.answer_pattern, the prompt or vote.tie"
        )
    checked = votes(validation, count, len(train_examples))
    return Taught(result.voted, checked.voted, count + len(all_rationales(checked.voted)))


def _judge(spec: RunSpec, recorder: Recorder, orders: Orders) -> Ask | None:
    judge = step_judge_of(spec)
    if judge is None:
        return None
    ask = verdicts(
        judge,
        spec.teacher,
        Ledger(recorder.writer, recorder.run_id),
        SimpleNamespace(poll=orders.raise_if_stopped),
        lambda level, line: recorder.log(level, line, "vote"),
    )

    def paid(requests: Sequence[Messages]) -> list[str | None]:
        try:
            return ask(requests)
        finally:
            note_spend(recorder)

    return paid


def unasked(examples: tuple[Example, ...]) -> tuple[Voted, ...]:
    """Without a teacher: examples with nothing but their gold answers."""
    return tuple(Voted(x, None, votes=0, parsed=0, tie=False, positives=(), negatives=()) for x in examples)


def training_texts(spec: RunSpec, taught: Taught) -> list[str]:
    """What a tokeniser built from the training data is built from."""
    found = []
    for v in taught.train:
        found += [predict_prompt(v.example.question), explain_prompt(v.example.question)]
        label = v.answer if spec.needs_teacher and spec.data.labels == "teacher" else v.example.answer
        found += [label] if label else []
        found += [target_text(r, spec.student.answer_in_rationale) for r in (*v.positives, *v.negatives)]
    return found


def record_votes(taught: Taught, spec: RunSpec, followed: set[str], recorder: Recorder) -> None:
    voted = (*taught.train, *taught.validation)
    correct = {v.example.id: is_right(spec.data.answer, v.example.answer, v.answer) for v in voted}
    recorder.votes(voted, followed, correct)
