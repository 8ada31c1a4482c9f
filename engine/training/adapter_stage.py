"""The stages of NAT and NCE before the last (arXiv 2312.12832): an adapter is trained over the frozen base, and kept.

negative: the adapter of wrong rationales. nat, before NCE alone: that of right ones, with the units of both.
"""

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from engine.errors import SpecError
from engine.methods import cot_kd
from engine.parallel.ranks import Heard, Ranks
from engine.randomness import derive
from engine.runs.orders import Orders
from engine.spec.dust_into_gold import CotKd, Nat, Nce
from engine.spec.run import RunSpec
from engine.store.recorder import Recorder
from engine.students import integrate
from engine.students.integrate import Mode
from engine.students.seam import Student
from engine.training.batches import Item, Schedule
from engine.training.checkpoint import Progress, Trained
from engine.training.memory import step_that_fits
from engine.training.resumable import Resumable
from engine.training.schedule import learning_rate
from engine.training.step import Row, Stepped, step
from engine.training.visits import attention

ATTENTION_EVERY = 20
"""Steps between points of what NAT attends to."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One of them."""

    name: str
    """Of the run's stage."""
    mode: Mode
    steps: int
    folder: str
    """In the run's folder: what it has trained, once it is done."""
    series: str
    """Of its loss; its steps stand before step 0 in the charts."""


def stages_of(spec: RunSpec) -> list[Stage]:
    """The stages before the last, in order; none where the method has none."""
    method, last = spec.method, spec.training.steps
    if not isinstance(method, Nat | Nce):
        return []
    found = [Stage("negative", "negative", method.negative_steps or last, "stage-negative", "loss/wrong")]
    if isinstance(method, Nce):
        found.append(Stage("nat", "nat", method.nat_steps or last, "stage-nat", "loss/nat"))
    return found


def train_stage(
    stage: Stage,
    spec: RunSpec,
    student: Student,
    items: Sequence[Item],
    folder: Path,
    recorder: Recorder,
    orders: Orders,
    ranks: Ranks,
) -> None:
    """Trains it to its end, from its own last checkpoint where one is left, and leaves it in the run's folder.

    Raises Interrupted after a checkpoint when an order to stop comes in.
    """
    learnt = _learnt(stage, spec, items)
    place = folder / f"{stage.folder}.checkpoints"
    config = spec.training.model_copy(update={"steps": stage.steps})
    integrate.learn(student.adapted, stage.mode)
    optimizer = torch.optim.AdamW(
        student.parameter_groups(config.lr, config.weight_decay), betas=(0.9, 0.98), fused=True
    )
    peaks = [group["lr"] / config.lr for group in optimizer.param_groups]
    resumable = Resumable(
        stage=stage.name,
        steps=stage.steps,
        every=config.checkpoint_every,
        keep=1,
        place=place,
        trained=Trained(student.model, optimizer),
        recorder=recorder,
        orders=orders,
        ranks=ranks,
    )
    schedule = Schedule(len(learnt), config.batch_size, stage.steps, 1, derive(spec.seed, stage.name))
    torch.manual_seed(derive(spec.seed, stage.name, "dropout"))
    progress = resumable.restore(resumable.latest())
    student.model.train()
    for at in range(progress.step + 1, stage.steps + 1):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = learning_rate(config, at) * peak
        rows = [Row(learnt[i], (), judge_all=False) for i in schedule.batch(at)]
        optimizer.zero_grad()
        ranks.reseed(derive(spec.seed, stage.name), at)
        stepped = _take(stage, spec, student, rows, progress, recorder, ranks)
        norm = torch.nn.utils.clip_grad_norm_(student.model.parameters(), config.clip).item()
        if not math.isfinite(norm):
            raise SpecError(f"step {at} of the stage {stage.name} has a gradient that is no number: lower training.lr")
        optimizer.step()
        progress.step = at
        found = {stage.series: float(stepped.outcome.loss)}
        if at % ATTENTION_EVERY == 0:
            found |= attention(student) if stage.mode == "nat" else {}
        recorder.points(at - stage.steps, found)
        recorder.stage(stage.name, done=at)
        resumable.after_step(progress)
    if ranks.first:
        beside = folder / f"{stage.folder}.partial"
        shutil.rmtree(beside, ignore_errors=True)
        integrate.save(student.adapted, beside, [stage.mode])
        beside.rename(folder / stage.folder)
        shutil.rmtree(place, ignore_errors=True)
    ranks.agree(None)


def _learnt(stage: Stage, spec: RunSpec, items: Sequence[Item]) -> list[Item]:
    """What the stage's adapter learns, as positives."""
    wrong = stage.mode == "negative"
    found = [replace(x, positives=x.negatives if wrong else x.positives, negatives=()) for x in items]
    found = [x for x in found if x.positives]
    if not found:
        kind = "wrong" if wrong else "right"
        raise SpecError(
            f"method {spec.method.name} learns from {kind} rationales, and no question has one: raise teacher.samples"
        )
    return found


def _take(
    stage: Stage,
    spec: RunSpec,
    student: Student,
    rows: Sequence[Row],
    progress: Progress,
    recorder: Recorder,
    ranks: Ranks,
) -> Stepped:
    """The step's gradient, in micro-batches as small as memory asks for."""
    heard = Heard(ranks)

    def take(micro_batch: int) -> Stepped:
        heard.again()
        loss = partial(cot_kd.loss, CotKd())
        draw = torch.zeros(len(rows), 2)
        return step(student, None, loss, rows, draw, wants=cot_kd.wants(CotKd()), micro_batch=micro_batch, ranks=heard)

    def halved(before: int, now: int) -> None:
        recorder.log("warning", f"out of memory with {before} questions at once: goes on with {now}", stage.name)

    fits = progress.micro_batch or spec.compute.micro_batch
    mine = len(ranks.share(len(rows)))
    stepped, progress.micro_batch = step_that_fits(take, student.model, mine, fits, halved)
    ranks.sum_gradients(student.model.parameters())
    return stepped
