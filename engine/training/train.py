"""The training loop: batches -> the method's step -> losses, with negatives from earlier selves of the student."""

import gc
import math
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Any

import torch
from torch import Tensor

from engine.errors import Interrupted, QcrdError, SpecError
from engine.judge import training as judge_training
from engine.methods.table import wants
from engine.negatives.during import During
from engine.parallel.ranks import Heard
from engine.randomness import derive, generator
from engine.spec.methods import Qcrd
from engine.store.recorder import Recorder
from engine.students.compiled import compile_blocks, without_compiler
from engine.students.seam import Student
from engine.training import amortised, checkpoint
from engine.training.checkpoint import Progress, Trained
from engine.training.memory import held, step_that_fits
from engine.training.resumable import Resumable
from engine.training.schedule import learning_rate
from engine.training.setup import Setup
from engine.training.step import Row, Stepped, step
from engine.training.validation import validate
from engine.training.visits import attention, numbers, visits

SPEED_EVERY = 20
"""Steps between points of tokens_per_second and memory."""
MOST_SKIPPED = 20
"""Steps in a row whose gradient is no number, after which none is expected to be one."""
JUDGE_DECAY = 0.9
"""alpha_3 of the paper, every iteration."""
ALPHA_JUDGE = 0.5
"""alpha_3 of the paper in the first iteration."""


def train(setup: Setup, resume_at: int | None) -> Progress:
    """Trains to the last step, from the checkpoint of step `resume_at` or from the start; returns where it got to.

    Raises Interrupted after a checkpoint when an order to stop comes in.
    """
    spec, student, recorder, ranks = setup.spec, setup.student, setup.recorder, setup.ranks
    optimizer = torch.optim.AdamW(
        student.parameter_groups(spec.training.lr, spec.training.weight_decay), betas=(0.9, 0.98), fused=True
    )
    peaks = [group["lr"] / spec.training.lr for group in optimizer.param_groups]
    resumable = Resumable(
        stage="train",
        steps=spec.training.steps,
        every=spec.training.checkpoint_every,
        keep=spec.training.keep,
        place=setup.folder,
        trained=Trained(student.model, optimizer, setup.judge, setup.judge_optimizer),
        recorder=recorder,
        orders=setup.orders,
        ranks=ranks,
    )
    if resume_at is None:
        torch.manual_seed(derive(spec.seed, "train"))
        progress = Progress(number=setup.first_number)
        progress.best_value = ranks.agree(validate(setup.validation, student, recorder, 0, ranks))
        if ranks.first:
            resumable.save(progress)
    else:
        progress = resumable.restore(resume_at)
        recorder.rewind(resume_at, progress.number)
    if spec.compute.gradient_checkpointing:
        checkpoint_activations(student.model)
    if spec.compute.compile:
        _compile(student, recorder)
    student.model.train()
    gc.collect()
    gc.freeze()  # libraries and examples stay to the end: looking through them again and again cost a step 3 %
    with closing(During(setup, progress)) as negatives:
        _go_on(setup, resumable, optimizer, peaks, progress, negatives)
    return progress


def _go_on(
    setup: Setup,
    resumable: Resumable,
    optimizer: torch.optim.Optimizer,
    peaks: Sequence[float],
    progress: Progress,
    negatives: During,
) -> None:
    """The steps that are left. `peaks`: each group's learning rate, as a multiple of the spec's."""
    spec, student, recorder, schedule = setup.spec, setup.student, setup.recorder, setup.schedule
    ranks = setup.ranks
    last_visits = schedule.last_visits()
    speed = _Speed()
    if progress.unevaluated:
        _evaluate(setup, resumable, progress, negatives)
        resumable.after_step(progress, negatives.settle)
    for at in range(progress.step + 1, spec.training.steps + 1):
        iteration = schedule.iteration(at)
        batch = schedule.batch(at)
        rows = negatives.rows(batch, iteration, [last_visits[i] == at for i in batch])
        if spec.compute.choice == "iteration":
            if progress.scored_in != iteration:
                due = negatives.all_of(schedule.due(iteration))
                progress.scored = amortised.renewed(
                    student, due, progress.scored, iteration, spec.compute.choice_age, ranks, setup.at_once
                )
                progress.scored_in = iteration
            rows = amortised.with_earlier(rows, progress.scored)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = learning_rate(spec.training, at) * peak
        draw = torch.rand(len(rows), 2, generator=generator(spec.seed, "draw", at))
        optimizer.zero_grad()
        ranks.reseed(spec.seed, at)
        stepped = _take(setup, progress, rows, draw, at)
        norm = torch.nn.utils.clip_grad_norm_(student.model.parameters(), spec.training.clip).item()
        progress.step = at
        if math.isfinite(norm) and math.isfinite(stepped.outcome.loss.item()):
            optimizer.step()
            progress.skipped_in_a_row = 0
            found = numbers(stepped, setup.judge is not None)
            found |= {"lr": optimizer.param_groups[0]["lr"], "grad_norm": norm}
            final = [last_visits[i] == at for i in batch]
            recorder.visits(at, iteration, visits(rows, stepped, setup.followed, final, setup.judge is not None))
            negatives.note_qualities(rows, stepped)
        else:
            found = _leave_out(setup, progress, stepped, norm, batch, at)
        speed.add(stepped)
        if at % SPEED_EVERY == 0:
            found["tokens_per_second"] = speed.rate()
            found |= held(setup.student.device)
            found |= attention(setup.student)
        judged = _update_judge(setup, rows, at, iteration)
        if judged is not None:
            found["loss/judge"] = judged
        recorder.points(at, found)
        if at == schedule.last_step(iteration):
            negatives.write_due(iteration)
        recorder.progress(at, iteration)
        recorder.stage("train", done=at)
        if at % spec.evaluation.every == 0 or at == spec.training.steps:
            _evaluate(setup, resumable, progress, negatives)
        resumable.after_step(progress, negatives.settle)


def checkpoint_activations(model: Any) -> None:
    """Layers are computed again in the backward pass instead of being kept."""
    model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})


def _compile(student: Student, recorder: Recorder) -> None:
    reason = without_compiler(student.device)
    if reason is None:
        compile_blocks(student.model)
    else:
        recorder.log("warning", f"compute.compile: nothing can be compiled here ({reason}): goes on without", "train")


def _take(setup: Setup, progress: Progress, rows: Sequence[Row], draw: Tensor, at: int) -> Stepped:
    """The step's gradient, in micro-batches as small as memory asks for."""
    spec, heard = setup.spec, Heard(setup.ranks)

    def take(micro_batch: int) -> Stepped:
        share = (at - 1) / spec.training.steps
        loss = partial(setup.method.loss, spec.method)
        heard.again()
        asked = wants(setup.method, spec.method)
        return step(setup.student, setup.judge, loss, rows, draw, share, asked, micro_batch, heard)

    def halved(before: int, now: int) -> None:
        line = f"out of memory at step {at} with {before} questions at once: goes on with {now}, in the same batches"
        setup.recorder.log("warning", line, "train")

    fits = progress.micro_batch or spec.compute.micro_batch
    mine = len(setup.ranks.share(len(rows)))
    stepped, progress.micro_batch = step_that_fits(take, setup.student.model, mine, fits, halved)
    setup.ranks.sum_gradients(setup.student.model.parameters())
    return stepped


def _leave_out(
    setup: Setup, progress: Progress, stepped: Stepped, norm: float, batch: Sequence[int], at: int
) -> dict[str, float]:
    """A step whose loss or gradient is no number: QcrdError, or nothing learnt where the spec says so; its metrics."""
    examples = ", ".join(setup.items[i].example.id for i in batch[:3])
    what = f"step {at} has the loss {stepped.outcome.loss.item()} and a gradient of {norm} (examples {examples}, …)"
    resume = f"resume from step {checkpoint.latest(setup.folder) or 0} after mending the data"
    if setup.spec.compute.on_nonfinite == "stop":
        raise QcrdError(
            f"{what}; lower training.lr and start again, {resume}, or leave such steps out with "
            'compute.on_nonfinite = "skip"'
        )
    progress.skipped += 1
    progress.skipped_in_a_row += 1
    if progress.skipped_in_a_row == MOST_SKIPPED:
        raise SpecError(f"{what}, as had the {MOST_SKIPPED - 1} before it: training has diverged; lower training.lr")
    setup.recorder.log("warning", f"{what}: it is left out", "train")
    return {"skipped": progress.skipped}


def _update_judge(setup: Setup, rows: Sequence[Row], at: int, iteration: int) -> float | None:
    """The discriminator's online update, every few steps."""
    if setup.judge is None or setup.judge_optimizer is None or not isinstance(setup.spec.method, Qcrd):
        return None
    config = setup.spec.method.discriminator
    if at % config.every:
        return None
    decay = JUDGE_DECAY ** (iteration - 1)
    lr, scale = (config.lr * decay, 1.0) if config.decay == "lr" else (config.lr, ALPHA_JUDGE * decay)
    found = None
    if setup.ranks.first:  # few examples: to share them out would take longer
        found = judge_training.update(setup.judge, setup.judge_optimizer, rows, config.loss, lr, scale)
    setup.ranks.copy(setup.judge.parameters())
    return found


def _evaluate(setup: Setup, resumable: Resumable, progress: Progress, negatives: During) -> None:
    """Validation, the best so far, and the discriminator's AUC by source.

    Raises Interrupted, with a checkpoint from which it is made again, when an order to stop comes in.
    """
    at = progress.step
    try:
        value = setup.ranks.agree(validate(setup.validation, setup.student, setup.recorder, at, setup.ranks))
    except Interrupted:
        progress.unevaluated = True
        negatives.settle()
        resumable.save(progress)
        raise
    progress.unevaluated = False
    if value >= progress.best_value:
        progress.best_value, progress.best_step = value, at
    if setup.judge is not None:
        found = negatives.take_auc()
        if setup.ranks.first:
            found = judge_training.held_out_auc(setup.judge, setup.held_out, setup.spec.seed) | found
        setup.recorder.points(at, {f"auc/{source}": value for source, value in found.items()})


class _Speed:
    """Supervised target tokens a second by the clock: evaluations, checkpoints and pauses count as time."""

    def __init__(self) -> None:
        self.tokens = 0
        self.since = time.monotonic()

    def add(self, stepped: Stepped) -> None:
        self.tokens += stepped.target_tokens

    def rate(self) -> float:
        now = time.monotonic()
        rate = self.tokens / max(now - self.since, 1e-9)
        self.tokens, self.since = 0, now
        return rate
