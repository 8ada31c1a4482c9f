"""`qcrd bench step`: one training step, forward, backward and AdamW's update, beside the naive one and DSS's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from engine.bench import shapes
from engine.bench.naive import Batch, batch, naive_scores
from engine.bench.timing import Arm, Taken, in_turns, peak_bytes, ratio, spread
from engine.judge.discriminator import build
from engine.methods import dss, qcrd
from engine.spec.methods import Dss, Qcrd, QcrdLoss
from engine.students import gemm
from engine.students.load import pick_device
from engine.training import amortised
from engine.training.step import Row, Stepped, step

WARM_UP = 2
ITERATION = 4
AGE = 4
AGED = "amortised, every fourth visit"
"""Visits of a question by one scoring of its candidates: what a large `compute.choice_age`, in iterations, comes to."""
EVERY_NEGATIVE = 1e9
"""delta at which no hinge silences a negative."""


def measure(
    shape: str, batch_size: int, positives: int, negatives: int, device_name: str, repeats: int, micro_batch: int
) -> dict[str, Any]:
    """All arms on one batch; times in seconds, memory in bytes.

    fast: the step as trained; amortised: a step that only learns, and its share of the bulk scoring of an iteration of
    ITERATION steps that sees each question once (padding: of the step alone); the other of that name: scored anew at
    every AGE-th visit; judged: fast, with a discriminator of the student's size; naive: everything with gradient; dss:
    label and one rationale by transformers' own forward, as its Trainer calls it; dss-ours by ours; bare (GPU): the
    same plain cross-entropy, compiled whole.
    update: gradients clipped, and AdamW; it is part of every arm's time. passes_to_dss: the ratios without it.
    passes_per_second: tokens, a forward pass counted once and a backward pass twice; to_bare: their ratio to bare's.
    """
    device = pick_device(device_name)
    student = shapes.student(shape, device, 0)
    student.model.train()
    rows = shapes.rows(student, shape, batch_size, positives, negatives, 0)
    draw = torch.rand(batch_size, 2)
    config = Qcrd(loss=QcrdLoss(delta=EVERY_NEGATIVE))
    judge = build("student-sized", student, 1024, 1024, 0)
    contrast = partial(qcrd.loss, config)
    ours = partial(step, student, None, contrast, draw=draw, micro_batch=micro_batch)
    one = [Row(replace(row.item, positives=row.item.positives[:1]), (), judge_all=False) for row in rows]
    due = shapes.rows(student, shape, batch_size * ITERATION, positives, negatives, 1)
    known = amortised.with_earlier(rows, amortised.renewed(student, rows, {}, 1, 1))
    arms: dict[str, Arm] = {
        "fast": lambda: ours(rows=rows),
        "amortised": lambda: ours(rows=known),
        AGED: lambda: ours(rows=known),
        "scoring": lambda: amortised.score(student, due),
        "judged": lambda: step(student, judge, contrast, rows, draw, micro_batch=micro_batch),
        "naive": lambda: _naive(student, contrast, rows, draw),
        "dss": lambda: _dss(student.model, student, _dss_batches(student, one)),
        "dss-ours": lambda: step(student, None, partial(dss.loss, Dss()), one, draw, micro_batch=micro_batch),
    }
    if device.type == "cuda":
        compiled = torch.compile(student.model)
        arms["bare"] = lambda: _dss(compiled, student, _dss_batches(student, one))
    fresh = {name: _from_zero(student, arm) for name, arm in arms.items()}
    taken = in_turns({**fresh, "update": _update(student, arms["dss"])}, WARM_UP, repeats, device)
    scoring = taken.pop("scoring")
    for name, visits in (("amortised", 1), (AGED, AGE)):
        taken[name] = _added(taken[name], scoring, ITERATION * visits)
    update = taken.pop("update")
    passes = taken
    taken = {name: _added(times, update) for name, times in passes.items()}
    bulk = fresh.pop("scoring")
    stepped = ours(rows=rows)
    choice = stepped.outcome.choice
    made = _passes(rows, stepped)
    found: dict[str, dict[str, Any]] = {}
    for name, arm in fresh.items():
        times = spread([t.wall for t in taken[name]])
        tokens = made[name]
        found[name] = {
            "seconds": times,
            "to_dss": ratio(taken[name], taken["dss"]),
            "passes_to_dss": ratio(passes[name], passes["dss"]),
            "tokens_per_second": tokens.supervised / times["median"],
            "passes_per_second": tokens.all / times["median"],
            "padding": _padding(
                student, arm, tokens.supervised + tokens.scored * (name not in ("amortised", AGED)), tokens.prompts
            ),
            "peak_bytes": peak_bytes(arm, device),
        }
    if "bare" in found:
        for values in found.values():
            values["to_bare"] = values["passes_per_second"] / found["bare"]["passes_per_second"]
    if (grown := peak_bytes(bulk, device)) is not None:
        for name in ("amortised", AGED):
            found[name]["peak_bytes"] = max(found[name]["peak_bytes"] or 0, grown)
    return {
        "bench": "step",
        "shape": shape,
        "batch": batch_size,
        "positives": positives,
        "negatives": negatives,
        "micro_batch": micro_batch,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "repeats": repeats,
        "parameters": sum(p.numel() for p in student.model.parameters()),
        "active_share": float(choice.active.sum()) / max(int(choice.negative.sum()), 1),
        "update_seconds": spread([t.wall for t in update]),
        "naive_to_fast": ratio(taken["naive"], taken["fast"]),
        "arms": found,
    }


@dataclass(frozen=True, slots=True)
class _Passes:
    """Tokens that an arm sends through the model."""

    prompts: int
    """With gradient."""
    supervised: int
    """Of targets, with gradient."""
    scored: float = 0
    """Of targets, without."""
    scored_prompts: float = 0
    """Read once more for those."""

    @property
    def all(self) -> float:
        """A backward pass costs about two forward passes."""
        return 3 * (self.prompts + self.supervised) + self.scored + self.scored_prompts


def _passes(rows: Sequence[Row], stepped: Stepped) -> dict[str, _Passes]:
    """By arm."""
    items = [row.item for row in rows]
    explain = sum(len(x.explain) for x in items)
    prompts = explain + sum(len(x.predict) for x in items)
    labels = sum(len(x.label or ()) for x in items)
    one = labels + sum(len(x.positives[0].tokens) for x in items)
    candidates = [(row, c) for row in rows for c in (*row.item.positives, *row.negatives)]
    scored = sum(len(c.tokens) for _, c in candidates)
    again = sum(len(row.item.explain) for row, _ in candidates) - explain
    fast = _Passes(prompts, stepped.target_tokens, scored)
    plain = _Passes(prompts, one)
    return {
        "fast": fast,
        "judged": fast,
        "amortised": replace(fast, scored_prompts=explain),
        AGED: replace(fast, scored=scored / AGE, scored_prompts=explain / AGE),
        "naive": _Passes(prompts + again, scored + labels),
        "dss": plain,
        "dss-ours": plain,
        "bare": plain,
    }


def _from_zero(student: shapes.BenchStudent, arm: Arm) -> Arm:
    def run() -> None:
        student.model.zero_grad()
        arm()

    return run


def _added(times: list[Taken], more: list[Taken], share: int = 1) -> list[Taken]:
    """Each time and the other of its turn, or a share of that."""
    return [Taken(a.wall + b.wall / share, a.cpu + b.cpu / share) for a, b in zip(times, more, strict=True)]


def _update(student: shapes.BenchStudent, step: Arm) -> Arm:
    """Clipping and AdamW as in training, on that step's gradients; at a learning rate of 0, so that arms stay alike."""
    optimizer = torch.optim.AdamW(student.parameter_groups(0.0, 0.0), fused=True)
    step()
    gradients = [p.grad for p in student.model.parameters()]

    def run() -> None:
        for parameter, gradient in zip(student.model.parameters(), gradients, strict=True):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(student.model.parameters(), 1.0)
        optimizer.step()

    return run


def _naive(student: shapes.BenchStudent, loss: Callable[..., Any], rows: Sequence[Row], draw: Tensor) -> None:
    loss(naive_scores(student, rows, None, draw)).loss.backward()


def _dss_batches(student: shapes.BenchStudent, rows: Sequence[Row]) -> tuple[Batch, Batch]:
    """One of labels, one of rationales, as the method's own code has them."""
    items = [row.item for row in rows]
    return (
        batch(student, [x.predict for x in items], [x.label or () for x in items]),
        batch(student, [x.explain for x in items], [x.positives[0].tokens for x in items]),
    )


def _dss(model: Any, student: shapes.BenchStudent, both: tuple[Batch, Batch]) -> None:
    """0.5 CE(label) + 0.5 CE(rationale), each transformers' own loss, by the layers that it comes with."""
    with gemm.as_it_came(student.model):
        with torch.autocast(student.device.type, dtype=torch.bfloat16, enabled=student.bf16):
            losses = [model(input_ids=x.input_ids, attention_mask=x.attention_mask, labels=x.labels).loss for x in both]
        (0.5 * losses[0] + 0.5 * losses[1]).backward()


def _padding(student: shapes.BenchStudent, arm: Arm, targets: float, prompts: int) -> float:
    """The share of the decoder's positions that are pads (of a causal model: pads, or prompts read once more).

    Each of its passes counts. `targets`, `prompts`: tokens that it has to read; an encoder-decoder's reads no prompts.
    """
    positions, real = 0, float(targets)
    if student.model.config.is_encoder_decoder:
        watched = student.model.decoder.block[0].layer[2]
    else:
        watched, real = student.model.base_model.layers[0].mlp, targets + prompts

    def count(_: Any, inputs: tuple[Tensor, ...], __: Any) -> None:
        nonlocal positions
        positions += inputs[0].shape[0] * inputs[0].shape[1]

    handle = watched.register_forward_hook(count)
    try:
        arm()
    finally:
        handle.remove()
    return max(0.0, 1 - real / max(positions, 1))
