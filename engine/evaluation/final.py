"""The last evaluation: the best student on the test splits, read once, beside what it must beat."""

from collections.abc import Sequence

from engine.evaluation.evaluate import (
    SAMPLING_TEMPERATURE,
    Head,
    answer,
    is_right,
    judge_sampled,
    majority_class,
    right_of,
)
from engine.evaluation.intervals import wilson
from engine.evaluation.sampled import scores
from engine.randomness import derive
from engine.records import Dataset, Example, Voted
from engine.students.load import student as load_student
from engine.training.setup import Setup
from engine.training.validation import ask, record_predictions


def evaluate_finally(setup: Setup, dataset: Dataset, taught: Sequence[Voted], step: int) -> list[str]:
    """Scores both heads on every test split, with the untrained student and the majority class beside them.

    Records predictions and scores under `step` (the best checkpoint's); returns a line a score of the student.
    """
    spec, recorder = setup.spec, setup.recorder
    kind = spec.data.answer
    common = majority_class([x.answer for x in setup.items if x.answer is not None])
    splits = {name: examples for name, examples in dataset.splits.items() if name not in ("train", "validation")}
    untrained = load_student(spec, [], setup.folder / "tokenizer")
    lines = []
    total = sum(map(len, splits.values())) * len(setup.validation.heads)
    done = 0
    for split, examples in splits.items():
        recorder.forget_answers(split)
        gold = {x.id: x.answer for x in examples}
        verdicts = [is_right(kind, g, common) for g in gold.values() if g is not None]
        recorder.score(split, "majority class", "", step, sum(map(bool, verdicts)), len(verdicts))
        for head in setup.validation.heads:
            answered = ask(setup.validation, setup.student, examples, head, setup.ranks)
            record_predictions(recorder, kind, split, head, step, answered, gold)
            right, compared = right_of(kind, answered, gold)
            recorder.score(split, "student", head, step, right, compared)
            if compared:
                low, high = wilson(right, compared)
                lines.append(f"{split}, {head} head: {right / compared:.3f} ({low:.3f} to {high:.3f}, n = {compared})")
            right, compared = right_of(kind, ask(setup.validation, untrained, examples, head, setup.ranks), gold)
            recorder.score(split, "untrained", head, step, right, compared)
            if spec.evaluation.samples > 1:
                _sampled(setup, examples, head, split, step)
            done += len(examples)
            recorder.stage("evaluate", done=done, total=total)
    _count_rationales(setup, taught)
    return lines


def _sampled(setup: Setup, examples: Sequence[Example], head: Head, split: str, step: int) -> None:
    """Majority vote and pass@k over evaluation.samples answers to each question."""
    rounds = []
    for number in range(setup.spec.evaluation.samples):
        rounds.append(
            answer(
                setup.student,
                examples,
                head,
                setup.spec.data.answer,
                max_new=setup.validation.max_new[head],
                batch_size=setup.spec.evaluation.batch_size,
                temperature=SAMPLING_TEMPERATURE,
                seed=derive(setup.spec.seed, "samples", number),
                ranks=setup.ranks,
                at_once=setup.at_once,
                between=setup.orders.raise_if_stopped,
            )
        )
    judged = judge_sampled(setup.spec.data.answer, {x.id: x.answer for x in examples}, rounds)
    setup.recorder.sampled(split, head, step, judged)
    for name, mean in scores(list(judged.values())).items():
        setup.recorder.score(split, f"student {name}", head, step, mean.sum, mean.questions, mean.interval)


def _count_rationales(setup: Setup, taught: Sequence[Voted]) -> None:
    setup.recorder.fact("train", "positives", sum(len(v.positives) for v in taught))
    setup.recorder.fact("train", "minority negatives", sum(len(v.negatives) for v in taught))
