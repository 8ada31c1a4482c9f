"""`qcrd bench step`: one step, forward and backward without the optimiser, beside the naive one and DSS's."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from engine import amortised
from engine.bench import shapes
from engine.bench.naive import Batch, batch, naive_scores
from engine.bench.timing import Arm, Taken, in_turns, peak_bytes, ratio, spread
from engine.discriminator import build
from engine.methods import dss, qcrd
from engine.spec.methods import Dss, Qcrd, QcrdLoss
from engine.step import Row, step
from engine.students.load import pick_device
from engine.students.t5 import T5Student

WARM_UP = 2
ITERATION = 4
EVERY_NEGATIVE = 1e9
"""delta at which no hinge silences a negative."""


def measure(
    shape: str, batch_size: int, positives: int, negatives: int, device_name: str, repeats: int, micro_batch: int
) -> dict[str, Any]:
    """All arms on one batch; times in seconds, memory in bytes.

    fast: the step as trained; amortised: a step that only learns, and its share of the bulk scoring of an iteration of
    ITERATION steps that sees each question once (padding: of the step alone); judged: fast, with a discriminator of
    the student's size; naive: everything with gradient; dss: label and one rationale by transformers' own forward,
    dss-ours by ours; bare (GPU): dss, compiled.
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
    known = amortised.with_earlier(rows, amortised.score(student, rows))
    arms: dict[str, Arm] = {
        "fast": lambda: ours(rows=rows),
        "amortised": lambda: ours(rows=known),
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
    taken = in_turns(fresh, WARM_UP, repeats, device)
    taken["amortised"] = [
        Taken(a.wall + b.wall / ITERATION, a.cpu + b.cpu / ITERATION)
        for a, b in zip(taken["amortised"], taken.pop("scoring"), strict=True)
    ]
    bulk = fresh.pop("scoring")
    stepped = ours(rows=rows)
    choice = stepped.outcome.choice
    label_tokens = sum(len(row.item.label or ()) for row in rows)
    one_tokens = label_tokens + sum(len(row.item.positives[0].tokens) for row in rows)
    scored = sum(len(c.tokens) for row in rows for c in (*row.item.positives, *row.negatives))
    both = scored + stepped.target_tokens
    # fast scores all candidates, then the chosen and the labels; the others score what they learn from
    supervised = {"naive": scored + label_tokens, "dss": one_tokens, "dss-ours": one_tokens, "bare": one_tokens}
    seen = {"fast": both, "amortised": stepped.target_tokens, "judged": both} | supervised
    found: dict[str, dict[str, Any]] = {}
    for name, arm in fresh.items():
        times = spread([t.wall for t in taken[name]])
        found[name] = {
            "seconds": times,
            "to_dss": ratio(taken[name], taken["dss"]),
            "tokens_per_second": supervised.get(name, stepped.target_tokens) / times["median"],
            "padding": _padding(student, arm, seen[name]),
            "peak_bytes": peak_bytes(arm, device),
        }
    if (grown := peak_bytes(bulk, device)) is not None:
        found["amortised"]["peak_bytes"] = max(found["amortised"]["peak_bytes"] or 0, grown)
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
        "naive_to_fast": ratio(taken["naive"], taken["fast"]),
        "arms": found,
    }


def _from_zero(student: T5Student, arm: Arm) -> Arm:
    def run() -> None:
        student.model.zero_grad()
        arm()

    return run


def _naive(student: T5Student, loss: Callable[..., Any], rows: Sequence[Row], draw: Tensor) -> None:
    loss(naive_scores(student, rows, None, draw)).loss.backward()


def _dss_batches(student: T5Student, rows: Sequence[Row]) -> tuple[Batch, Batch]:
    """One of labels, one of rationales, as the method's own code has them."""
    pad = student.model.config.pad_token_id
    items = [row.item for row in rows]
    return (
        batch([x.predict for x in items], [x.label or () for x in items], pad, student.device),
        batch([x.explain for x in items], [x.positives[0].tokens for x in items], pad, student.device),
    )


def _dss(model: Any, student: T5Student, both: tuple[Batch, Batch]) -> None:
    """0.5 CE(label) + 0.5 CE(rationale), each transformers' own loss."""
    with torch.autocast(student.device.type, dtype=torch.bfloat16, enabled=student.bf16):
        losses = [model(input_ids=x.input_ids, attention_mask=x.attention_mask, labels=x.labels).loss for x in both]
    (0.5 * losses[0] + 0.5 * losses[1]).backward()


def _padding(student: T5Student, arm: Arm, real: int) -> float:
    """The share of the decoder's positions that are pads; each of its passes counts."""
    positions = 0

    def count(_: Any, inputs: tuple[Tensor, ...], __: Any) -> None:
        nonlocal positions
        positions += inputs[0].shape[0] * inputs[0].shape[1]

    handle = student.model.decoder.block[0].layer[2].register_forward_hook(count)
    try:
        arm()
    finally:
        handle.remove()
    return max(0.0, 1 - real / max(positions, 1))
