"""Training the discriminator: pre-training on the teacher's rationales, then an update every few steps."""

from collections.abc import Callable, Sequence

import torch

from engine.evaluation.intervals import auc
from engine.judge.discriminator import Discriminator, Judged, augment, balance, judge_loss, pretrain_batch
from engine.randomness import derive, generator
from engine.spec.methods import JudgeLoss, QcrdDiscriminator
from engine.training.batches import Item
from engine.training.step import Row

BATCH = 8
"""Examples a pre-training step."""
PROBED = 60
"""Held-out examples behind the discriminator's AUC."""
LOOK_EVERY = 25
"""Pre-training steps between two looks at the loss on held-out examples."""
LOOKED_AT = 64
"""Held-out examples of such a look."""
LEAST_GAIN = 0.01
"""What the loss must fall by between two looks; L_D lies between -1 and 1 where classes are balanced."""
PATIENCE = 2
"""Looks without such a gain that end pre-training."""
UPDATED_ON = 8
"""Examples of a batch that an update in training learns from: with all of a batch it cost a tenth of training."""


def optimizer(judge: Discriminator, config: QcrdDiscriminator) -> torch.optim.AdamW:
    """Its own AdamW."""
    return torch.optim.AdamW(judge.parameters(), lr=config.lr, weight_decay=0.0, fused=True)


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
    held_out: Sequence[Judged],
    config: QcrdDiscriminator,
    seed: int,
    on_step: Callable[[int, float], None],
) -> int:
    """At most `pretrain_steps` steps of its loss on balanced batches; calls `on_step(step, loss)`; their number.

    It ends when the loss on the held-out examples falls no more: further steps only saturate the sigmoid.
    """
    torch.manual_seed(derive(seed, "pretrain"))
    if not examples:
        return 0
    words, mask = vocabulary(examples), judge.mask_word
    random = generator(seed, "held out")
    probed = [balance(x, words, mask, random) for x in held_out[:LOOKED_AT]]
    best, stale = float("inf"), 0
    judge.train()
    for step in range(1, config.pretrain_steps + 1):
        loss = judge_loss(judge, pretrain_batch(examples, step, BATCH, seed, words, mask), config.loss)
        optim.zero_grad()
        loss.backward()
        optim.step()
        on_step(step, loss.item())
        if probed and step % LOOK_EVERY == 0:
            now = _without_gradient(judge, probed, config)
            stale = stale + 1 if now > best - LEAST_GAIN else 0
            best = min(best, now)
            if stale == PATIENCE:
                return step
    return config.pretrain_steps


def _without_gradient(judge: Discriminator, examples: Sequence[Judged], config: QcrdDiscriminator) -> float:
    judge.eval()
    with torch.no_grad():
        found = judge_loss(judge, examples, config.loss).item()
    judge.train()
    return found


def update(
    judge: Discriminator,
    optim: torch.optim.Optimizer,
    rows: Sequence[Row],
    loss: JudgeLoss,
    lr: float,
    scale: float = 1.0,
) -> float | None:
    """One step of `scale` times its loss on the first few examples of a training batch with both; None: none has."""
    examples = [
        Judged(r.item.example.question, tuple(c.text for c in r.item.positives), tuple(c.text for c in r.negatives))
        for r in rows
        if r.item.positives and r.negatives
    ][:UPDATED_ON]
    if not examples:
        return None
    for group in optim.param_groups:
        group["lr"] = lr
    judge.train()
    found = judge_loss(judge, examples, loss)
    optim.zero_grad()
    (scale * found).backward()
    optim.step()
    return found.item()


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
