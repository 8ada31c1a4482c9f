"""Training the discriminator: pre-training on the teacher's rationales, then an update every few steps."""

from collections.abc import Callable, Sequence

import torch

from engine.batches import Item
from engine.discriminator import Discriminator, Judged, augment, pretrain_batch, ranking_loss
from engine.intervals import auc
from engine.randomness import derive, generator
from engine.spec.methods import QcrdDiscriminator
from engine.step import Row

BATCH = 8
"""Examples a pre-training step."""
PROBED = 150
"""Held-out examples behind the discriminator's AUC."""


def optimizer(judge: Discriminator, config: QcrdDiscriminator) -> torch.optim.AdamW:
    """Its own AdamW."""
    return torch.optim.AdamW(judge.parameters(), lr=config.lr, weight_decay=0.0)


def judged(items: Sequence[Item]) -> list[Judged]:
    """The examples that can teach the discriminator: those with a positive."""
    return [
        Judged(x.example.question, tuple(c.text for c in x.positives), tuple(c.text for c in x.negatives))
        for x in items
        if x.positives
    ]


def vocabulary(examples: Sequence[Judged]) -> list[str]:
    """The words that replace others in augmented negatives, sorted."""
    return sorted({word for x in examples for text in x.positives for word in text.split()})


def pretrain(
    judge: Discriminator,
    optim: torch.optim.Optimizer,
    examples: Sequence[Judged],
    steps: int,
    seed: int,
    on_step: Callable[[int, float], None],
) -> None:
    """`steps` steps of L_D on balanced batches; calls `on_step(step, loss)`."""
    torch.manual_seed(derive(seed, "pretrain"))
    if not examples:
        return
    words, mask = vocabulary(examples), judge.mask_word
    judge.train()
    for step in range(1, steps + 1):
        loss = ranking_loss(judge, pretrain_batch(examples, step, BATCH, seed, words, mask))
        optim.zero_grad()
        loss.backward()
        optim.step()
        on_step(step, loss.item())


def update(judge: Discriminator, optim: torch.optim.Optimizer, rows: Sequence[Row], lr: float) -> float | None:
    """One step of L_D on a training batch's examples that have both; None where none has."""
    examples = [
        Judged(r.item.example.question, tuple(c.text for c in r.item.positives), tuple(c.text for c in r.negatives))
        for r in rows
        if r.item.positives and r.negatives
    ]
    if not examples:
        return None
    for group in optim.param_groups:
        group["lr"] = lr
    judge.train()
    loss = ranking_loss(judge, examples)
    optim.zero_grad()
    loss.backward()
    optim.step()
    return loss.item()


def held_out_auc(judge: Discriminator, examples: Sequence[Judged], seed: int) -> dict[str, float]:
    """How well s tells positives from negatives, by source of the negative, on examples never trained on.

    {"minority": …, "augmented": …}; a source without a negative is missing. Scores of all examples are pooled.
    """
    probed = [x for x in examples if x.negatives][:PROBED]
    if not probed:
        return {}
    words, mask = vocabulary(probed), judge.mask_word
    random = generator(seed, "probe")
    groups: dict[str, list[list[int]]] = {"positive": [], "minority": [], "augmented": []}
    for x in probed:
        groups["positive"] += [judge.pair(x.question, text) for text in x.positives]
        groups["minority"] += [judge.pair(x.question, text) for text in x.negatives]
        groups["augmented"] += [judge.pair(x.question, augment(text, words, mask, random)) for text in x.positives]
    scores = {name: judge.judge(pairs).tolist() for name, pairs in groups.items()}
    found = {name: auc(scores["positive"], scores[name]) for name in ("minority", "augmented")}
    return {name: value for name, value in found.items() if value is not None}
