"""A run from data to export, stage by stage. Each stage goes on from what the store and the run's folder hold."""

import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import torch

from engine.data.load import load
from engine.data.splits import asked
from engine.evaluation.final import evaluate_finally
from engine.judge import training as judge_training
from engine.judge.discriminator import Discriminator, build
from engine.methods.supervision import label_of
from engine.methods.table import METHODS
from engine.negatives import peer
from engine.negatives.band import Band, judge_of, marked
from engine.negatives.prepared import joined, prepare
from engine.negatives.sampled import How
from engine.parallel import processes
from engine.parallel.helper import core_to_spare
from engine.parallel.ranks import Ranks
from engine.randomness import generator
from engine.records import Dataset, Example, Sample
from engine.runs import provenance
from engine.runs.export import export
from engine.runs.orders import Orders
from engine.runs.ranking import rank
from engine.runs.stage import during
from engine.runs.taught import Taught, record_votes, take_vote, training_texts, unasked
from engine.spec.dust_into_gold import Nce, Ranking
from engine.spec.methods import Qcrd
from engine.spec.run import RunSpec
from engine.store.connect import open_reader
from engine.store.ledger.ledger import Ledger
from engine.store.ledger.spend import note_spend
from engine.store.queries import FAILED
from engine.store.recorder import Recorder
from engine.store.runs.run import folder_of
from engine.students import integrate, pretrained
from engine.students.load import check, tokenizer
from engine.students.load import student as load_student
from engine.students.seam import Student
from engine.teacher.sampling import sample
from engine.teacher.verdicts import step_judge_of
from engine.training import checkpoint
from engine.training.adapter_stage import stages_of, train_stage
from engine.training.batches import Item, items, iterations_of
from engine.training.limits import count_cut, within_limits
from engine.training.memory import AtOnce
from engine.training.setup import Setup
from engine.training.train import train
from engine.training.validation import Validation


@dataclass(frozen=True)
class Lesson:
    """All that is known before the student: what every process of a run is told."""

    folder: Path
    dataset: Dataset
    taught: Taught
    peers: list[Path]
    """Folders of other runs' students."""
    base: str | None
    """SHA-256 of the pre-trained base that the run has recorded; None: it has none, or none yet."""


def run_stages(spec: RunSpec, database: Path, run_id: int, recorder: Recorder, orders: Orders) -> None:
    """Runs all stages; raises Interrupted where an order or a signal stops it, QcrdError where it cannot go on."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or torch.get_num_threads()))  # as the worker has set it
    folder = _run_folder(database, run_id)
    base = provenance.stored(database, run_id, "base")
    recorder.declare_stages(stages(spec, base is not None or not _begun(folder)))

    with during(recorder, "data"):
        check(spec)
        processes.check(spec)
        step_judge_of(spec)  # before samples are paid for
        peers = peer.folders(spec.negatives, database) if spec.negatives else []
        dataset = load(spec)
        provenance.note(spec, database, run_id, dataset.hash, recorder)
        recorder.dataset(dataset)
        for note in dataset.notes:
            recorder.log("info", note, "data")
        for split, examples in dataset.splits.items():
            recorder.fact("data", f"examples/{split}", len(examples))

    if spec.needs_teacher:
        examples = asked(spec, dataset)
        with during(recorder, "sample", len(examples)):
            samples = _sample(spec, examples, recorder, orders)
        orders.raise_if_stopped()
        with during(recorder, "vote", len(examples)):
            taught = take_vote(spec, dataset.splits["train"], _validated(spec, dataset), samples, recorder, orders)
            if spec.until == "vote":
                record_votes(taught, spec, set(), recorder)
        if spec.until == "vote":
            return
    else:
        taught = Taught(unasked(dataset.splits["train"]), unasked(_validated(spec, dataset)), 0)
    orders.raise_if_stopped()
    if isinstance(spec.method, Ranking):
        rank(spec, spec.method, taught, folder, dataset.hash, recorder, orders)
        return

    with processes.together(spec, database, run_id, recorder) as ranks:
        learn(spec, ranks.agree(Lesson(folder, dataset, taught, peers, base)), recorder, orders, ranks)


def learn(spec: RunSpec, lesson: Lesson, recorder: Recorder, orders: Orders, ranks: Ranks) -> None:
    """From the student to its export: what each process of a run goes through, with a silent recorder but in the first.

    Raises as `run_stages`.
    """
    folder, dataset, taught = lesson.folder, lesson.dataset, lesson.taught
    at_once = AtOnce(lambda line: recorder.log("warning", line))
    validation = _validated(spec, dataset)
    ranks.led(lambda: pretrained.put_back(folder, lesson.base, lambda level, line: recorder.log(level, line, "base")))
    if ranks.agree(spec.student.base_steps > 0 and not _begun(folder)):
        with during(recorder, "base", spec.student.base_steps):
            ranks.led(lambda: _base(spec, taught, folder, recorder, orders))
        recorder.flush()
    student = ranks.led(lambda: load_student(spec, training_texts(spec, taught), folder / "tokenizer"))
    method = METHODS[spec.method.name]
    supervised, held_out = (
        items(
            student,
            method,
            spec.method,
            voted,
            labels=spec.data.labels,
            answer_in_rationale=spec.student.answer_in_rationale,
        )
        for voted in (taught.train, taught.validation)
    )
    supervised = within_limits(spec, student, supervised, recorder)
    count_cut(spec, student, dataset, recorder)
    recorder.iterations(iterations_of(spec, len(supervised)))
    resume_at = ranks.agree(checkpoint.latest(folder))

    judge = judge_optimizer = None
    if isinstance(spec.method, Qcrd) and spec.method.judged:
        judge = build(
            spec.method.discriminator.encoder,
            student,
            spec.student.max_question_tokens,
            spec.student.max_rationale_tokens,
            spec.seed,
        )
        judge.at_once = at_once
        judge_optimizer = judge_training.optimizer(judge, spec.method.discriminator)
        if resume_at is None and ranks.first:
            with during(recorder, "judge"):
                _pretrain(spec.seed, spec.method, judge, judge_optimizer, supervised, held_out, recorder, orders)
        ranks.agree(None)
        ranks.copy(judge.parameters())

    followed = _followed(spec, supervised)
    checked = replace(
        _validation(spec, taught, validation, supervised, followed),
        at_once=at_once,
        between=orders.raise_if_stopped,
    )
    band = ranks.led(lambda: _band(spec, student, supervised, held_out, folder, orders))
    if band is not None:
        band = replace(band, ranks=ranks)
        band.judge.at_once = at_once
        if ranks.first:
            found = judge_training.held_out_auc(band.judge, judge_training.judged(held_out), spec.seed)
            for source, value in found.items():
                recorder.fact("judge", f"band auc/{source}", value)
        everything = supervised
        supervised = band.keep(everything)
        taught = replace(taught, train=marked(taught.train, everything, supervised))
        before, kept = (sum(len(x.negatives) for x in some) for some in (everything, supervised))
        recorder.log("info", f"minority negatives within the band: {kept} of {before}", "train")
    sampling = How(
        kind=spec.data.answer,
        max_new=checked.max_new["explain"],
        drop_right=spec.vote.drop_right_negatives == "auto",
        ranks=ranks,
        at_once=at_once,
    )
    made = prepare(spec, supervised, folder, lesson.peers, band, first_number=taught.rationales, how=sampling)
    setup = Setup(
        spec=spec,
        method=method,
        student=student,
        judge=judge,
        judge_optimizer=judge_optimizer,
        items=joined(spec, supervised, made, student),
        followed={x.id for x in followed},
        validation=checked,
        held_out=judge_training.judged(held_out),
        first_number=taught.rationales + len(made),
        band=band,
        sampling=sampling,
        folder=folder,
        recorder=recorder,
        orders=orders,
        ranks=ranks,
        at_once=at_once,
        # a compiler has processes of its own, which a copy of this one would share
        helped=ranks.count == 1 and not spec.compute.compile and core_to_spare(student.model),
    )
    if spec.needs_teacher:
        record_votes(taught, spec, setup.followed, recorder)
    recorder.rationales(made)
    for stage in stages_of(spec):
        if not (folder / stage.folder).is_dir():
            with during(recorder, stage.name, stage.steps):
                train_stage(stage, spec, student, setup.items, folder, recorder, orders, ranks)
    if student.adapted is not None and stages_of(spec):
        integrate.learn(student.adapted, "student" if isinstance(spec.method, Nce) else "nat")
    with during(recorder, "train", spec.training.steps):
        progress = train(setup, resume_at)
    checkpoint.load_student(folder, progress.best_step, student.model)
    recorder.log("info", f"best on validation: step {progress.best_step} ({progress.best_value:.3f})", "train")
    orders.raise_if_stopped()

    with during(recorder, "evaluate"):
        measured = evaluate_finally(setup, dataset, taught.train, progress.best_step)
    if ranks.first:
        with during(recorder, "export"):
            export(student, folder / "student", spec, measured, dataset.hash)
            recorder.log("info", "the best student is in the run's folder, as student/", "export")


def stages(spec: RunSpec, pretrained_base: bool = True) -> list[tuple[str, str]]:
    """The stages that a run of this spec has, each with the unit of its progress.

    `pretrained_base`: False for a run that began before built-in students were pre-trained.
    """
    teacher = [("sample", "questions"), ("vote", "questions")] if spec.needs_teacher else []
    if spec.until == "vote":
        return [("data", ""), *teacher]
    if not spec.trains_student:
        return [("data", ""), *teacher, ("train", "steps"), ("evaluate", "questions"), ("export", "")]
    judge = [("judge", "steps")] if isinstance(spec.method, Qcrd) and spec.method.judged else []
    base = [("base", "steps")] if spec.student.base_steps and pretrained_base else []
    before = [(stage.name, "steps") for stage in stages_of(spec)]
    return [
        ("data", ""),
        *teacher,
        *base,
        *judge,
        *before,
        ("train", "steps"),
        ("evaluate", "questions"),
        ("export", ""),
    ]


def _begun(folder: Path) -> bool:
    """Whether the run has a student: then it has its base too, or was begun without one."""
    return (folder / "tokenizer").is_dir()


def _sample(
    spec: RunSpec, examples: tuple[Example, ...], recorder: Recorder, orders: Orders
) -> Mapping[str, list[Sample]]:
    try:
        samples = sample(
            spec,
            examples,
            Ledger(recorder.writer, recorder.run_id),
            SimpleNamespace(poll=orders.raise_if_stopped),
            on_progress=lambda done, total: recorder.stage("sample", done=done, total=total),
            say=lambda level, line: recorder.log(level, line, "sample"),
            on_failed=lambda failed: recorder.fact("sample", FAILED, failed),
        )
    finally:
        note_spend(recorder)
    recorder.fact("sample", "missing samples", sum(spec.teacher.samples - len(mine) for mine in samples.values()))
    return samples


def _pretrain(
    seed: int,
    method: Qcrd,
    judge: Discriminator,
    optimizer: torch.optim.Optimizer,
    supervised: list[Item],
    held_out: list[Item],
    recorder: Recorder,
    orders: Orders,
) -> None:
    """The discriminator before training; its steps stand before step 0 in the charts."""
    steps = method.discriminator.pretrain_steps
    examples, unseen = judge_training.judged(supervised), judge_training.judged(held_out)
    recorder.stage("judge", total=steps)

    def on_step(step: int, loss: float) -> None:
        orders.raise_if_stopped()
        recorder.points(step - steps, {"loss/judge": loss})
        recorder.stage("judge", done=step)

    taken = judge_training.pretrain(judge, optimizer, examples, unseen, method.discriminator, seed, on_step)
    if taken < steps:
        recorder.stage("judge", total=taken)
        recorder.log("info", f"the discriminator's loss on held-out examples fell no more after step {taken}", "judge")
    for source, value in judge_training.held_out_auc(judge, unseen, seed).items():
        recorder.fact("judge", f"auc/{source}", value)


def _base(spec: RunSpec, taught: Taught, folder: Path, recorder: Recorder, orders: Orders) -> None:
    """The built-in base, in the run's folder; its steps stand before step 0 in the charts."""
    steps = spec.student.base_steps
    texts = training_texts(spec, taught)

    def on_step(step: int, loss: float) -> None:
        orders.raise_if_stopped()
        recorder.points(step - steps, {"loss/base": loss})
        recorder.stage("base", done=step)

    questions = [] if spec.data.dataset == "arithmetic" else [v.example.question for v in taught.train]
    words = tokenizer(spec, texts)
    found = pretrained.prepare(
        words, steps, questions, folder, on_step, lambda level, line: recorder.log(level, line, "base")
    )
    recorder.provenance({"base": found})


def _band(
    spec: RunSpec,
    student: Student,
    supervised: list[Item],
    held_out: list[Item],
    folder: Path,
    orders: Orders,
) -> Band | None:
    """The second judge that negatives must satisfy, where the spec asks for one."""
    examples, unseen = judge_training.judged(supervised), judge_training.judged(held_out)
    return judge_of(spec, student, examples, unseen, folder, lambda step, loss: orders.raise_if_stopped())


def _validated(spec: RunSpec, dataset: Dataset) -> tuple[Example, ...]:
    """The validation questions that the student is asked while it trains."""
    return dataset.splits["validation"][: spec.evaluation.validation_limit]


def _followed(spec: RunSpec, supervised: list[Item]) -> tuple[Example, ...]:
    """The fixed sample of training questions, in their order."""
    order = torch.randperm(len(supervised), generator=generator(spec.seed, "followed")).tolist()
    return tuple(supervised[i].example for i in sorted(order[: spec.evaluation.followed]))


def _validation(
    spec: RunSpec,
    taught: Taught,
    validation: tuple[Example, ...],
    supervised: list[Item],
    followed: tuple[Example, ...],
) -> Validation:
    gold = {x.id: x.answer for x in validation}
    by_vote = spec.needs_teacher and spec.data.labels == "teacher"
    wanted = {v.example.id: label_of(v, "teacher") for v in taught.validation} if by_vote else gold
    answers = {x.example.id: x.answer for x in supervised}
    longest_label = max((len(x.label) for x in supervised if x.label), default=8)
    longest = max((len(c.tokens) for x in supervised for c in x.positives), default=0)
    return Validation(
        spec=spec,
        heads=spec.heads,
        examples=validation,
        wanted=wanted,
        followed=followed,
        followed_wanted={x.id: answers[x.id] for x in followed},
        max_new={"predict": longest_label + 8, "explain": min(longest + 8, spec.student.max_rationale_tokens)},
    )


def _run_folder(database: Path, run_id: int) -> Path:
    with closing(open_reader(database)) as connection:
        row = connection.execute("SELECT folder FROM runs WHERE id = ?", (run_id,)).fetchone()
    return folder_of(database, row)
