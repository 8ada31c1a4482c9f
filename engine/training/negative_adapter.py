"""NAT's first stage (arXiv 2312.12832, section 3.2): an adapter learns wrong rationales over the frozen base."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from engine.errors import Interrupted, QcrdError, SpecError
from engine.methods import cot_kd
from engine.parallel.ranks import Heard, Ranks
from engine.randomness import derive
from engine.runs.orders import Orders
from engine.spec.dust_into_gold import CotKd, Nat
from engine.spec.run import RunSpec
from engine.store.recorder import Recorder
from engine.students import integrate
from engine.students.load import NEGATIVE
from engine.students.seam import Student
from engine.training import checkpoint
from engine.training.batches import Item, Schedule
from engine.training.checkpoint import Progress, Trained
from engine.training.memory import step_that_fits
from engine.training.schedule import learning_rate
from engine.training.step import Row, Stepped, step

STAGE = "negative"


def steps_of(spec: RunSpec) -> int:
    """The steps of this stage."""
    assert isinstance(spec.method, Nat)
    return spec.method.negative_steps or spec.training.steps


def train_negative_adapter(
    spec: RunSpec,
    student: Student,
    items: Sequence[Item],
    folder: Path,
    recorder: Recorder,
    orders: Orders,
    ranks: Ranks,
) -> None:
    """Trains it and leaves it in `folder`/negative, from this stage's own checkpoint where one is left.

    Its steps stand before step 0 in the charts. Raises Interrupted after a checkpoint when an order to stop comes in.
    """
    wrong = [replace(x, positives=x.negatives, negatives=()) for x in items if x.negatives]
    if not wrong:
        raise SpecError("method nat learns from wrong rationales, and no question has one: raise teacher.samples")
    steps, place = steps_of(spec), folder / "negative-training"
    config = spec.training.model_copy(update={"steps": steps, "warmup": min(spec.training.warmup, steps)})
    adapted = student.adapted
    integrate.learn(adapted, "negative")
    optimizer = torch.optim.AdamW(
        student.parameter_groups(config.lr, config.weight_decay), betas=(0.9, 0.98), fused=True
    )
    peaks = [group["lr"] / config.lr for group in optimizer.param_groups]
    trained = Trained(student.model, optimizer)
    schedule = Schedule(len(wrong), config.batch_size, steps, 1, derive(spec.seed, STAGE))
    torch.manual_seed(derive(spec.seed, STAGE, "dropout"))
    latest = ranks.agree(checkpoint.latest(place))
    progress = Progress() if latest is None else checkpoint.load(place, latest, trained)
    student.model.train()
    for at in range(progress.step + 1, steps + 1):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = learning_rate(config, at) * peak
        rows = [Row(wrong[i], (), judge_all=False) for i in schedule.batch(at)]
        optimizer.zero_grad()
        ranks.reseed(spec.seed, -at)
        stepped = _take(spec, student, rows, progress, recorder, ranks)
        norm = torch.nn.utils.clip_grad_norm_(student.model.parameters(), config.clip).item()
        if not math.isfinite(norm):
            raise QcrdError(
                f"step {at} of the adapter of wrong rationales has a gradient that is no number; lower training.lr and "
                "start again"
            )
        optimizer.step()
        progress.step = at
        recorder.points(at - steps, {"loss/wrong": float(stepped.outcome.loss)})
        recorder.stage(STAGE, done=at)
        orders.poll()
        asked, orders.checkpoint = orders.checkpoint, False
        if ranks.first and at < steps and (at % config.checkpoint_every == 0 or asked or orders.stop):
            recorder.flush()
            checkpoint.save(place, trained, progress)
            checkpoint.tidy(place, 1, 0)
        if orders.stop and at < steps:
            raise Interrupted(
                f"stopped after step {at} of {steps} of the adapter of wrong rationales; "
                f"`qcrd resume {recorder.run_id}` goes on from there"
            )
        ranks.agree(None)
    if ranks.first:
        integrate.save_wrong(adapted, folder / NEGATIVE)
        shutil.rmtree(place, ignore_errors=True)
    integrate.learn(adapted, "nat")


def _take(
    spec: RunSpec, student: Student, rows: Sequence[Row], progress: Progress, recorder: Recorder, ranks: Ranks
) -> Stepped:
    """The step's gradient, in micro-batches as small as memory asks for."""
    heard = Heard(ranks)

    def take(micro_batch: int) -> Stepped:
        heard.again()
        loss = partial(cot_kd.loss, CotKd())
        draw = torch.zeros(len(rows), 2)
        return step(student, None, loss, rows, draw, micro_batch=micro_batch, ranks=heard, uses_all=True)

    def halved(before: int, now: int) -> None:
        recorder.log("warning", f"out of memory with {before} questions at once: goes on with {now}", STAGE)

    fits = progress.micro_batch or spec.compute.micro_batch
    mine = len(ranks.share(len(rows)))
    stepped, progress.micro_batch = step_that_fits(take, student.model, mine, fits, halved)
    ranks.sum_gradients(student.model.parameters())
    return stepped
