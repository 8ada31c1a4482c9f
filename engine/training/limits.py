"""What is longer than the student may read or write: counted, said, and cut or left out."""

from engine.errors import SpecError
from engine.records import Dataset
from engine.spec.run import RunSpec
from engine.store.recorder import Recorder
from engine.students.seam import Student
from engine.training.batches import Item, explain_prompt


def within_limits(spec: RunSpec, student: Student, supervised: list[Item], recorder: Recorder) -> list[Item]:
    """Counts what the limits cut, and leaves questions out that are too long where the spec says so."""
    long_ids = {
        x.example.id
        for x in supervised
        if student.prompt_length(explain_prompt(x.example.question)) > spec.student.max_question_tokens
    }
    cut_targets = sum(
        student.target_length(c.text) > spec.student.max_rationale_tokens
        for x in supervised
        for c in (*x.positives, *x.negatives)
    )
    skip = spec.student.too_long == "skip"
    recorder.fact("train", "questions skipped" if skip else "questions cut", len(long_ids))
    recorder.fact("train", "rationales cut", cut_targets)
    if long_ids:
        what = "left out" if skip else "cut"
        limit = spec.student.max_question_tokens
        recorder.log("warning", f"training questions longer than {limit} tokens: {len(long_ids)}, {what}", "train")
    if cut_targets:
        limit = spec.student.max_rationale_tokens
        recorder.log("warning", f"rationales longer than {limit} tokens: {cut_targets}, cut in the middle", "train")
    kept = [x for x in supervised if not (skip and x.example.id in long_ids)]
    recorder.fact("train", "examples", len(kept))
    if not kept:
        raise SpecError(
            f"no training example is left for the method {spec.method.name!r}: "
            + ("all questions are too long, raise student.max_question_tokens" if long_ids else "none has a label")
        )
    return kept


def count_cut(spec: RunSpec, student: Student, dataset: Dataset, recorder: Recorder) -> None:
    """Questions that are only asked are never left out: what is too long is cut, counted and said."""
    limit = spec.student.max_question_tokens
    for split, examples in dataset.splits.items():
        if split == "train" or not examples:
            continue
        cut = sum(student.prompt_length(explain_prompt(x.question)) > limit for x in examples)
        recorder.fact("evaluate", f"questions cut/{split}", cut)
        if cut:
            recorder.log("warning", f"questions of {split} longer than {limit} tokens: {cut}, cut", "evaluate")
