"""Token-mean cross-entropy of many targets: in buckets of similar length, logits at real tokens only, in chunks."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from engine.students.seam import Tokens

LOGITS = 2**27
"""Logits made at once (512 MB in fp32): 4096 tokens of T5's vocabulary."""
LOGITS_UNKEPT = 2**22
"""The same on a CPU where no backward pass needs them: 16 MB, which cost no more time than 512."""
BUCKETS = 3
"""Targets are scored in this many groups of similar length, where there are enough of them."""
WIDE, FINER, LEAST = 256, 6, 4
"""A model of that width on a CPU computes its pads so slowly that more groups pay, of so many targets at least: a step
of T5-small's shape took a tenth less than in the groups above."""


def finer(device: torch.device, width: int) -> bool:
    """Whether more groups pay."""
    return device.type == "cpu" and width >= WIDE


def in_buckets(targets: Sequence[Tokens], score: Callable[[list[int]], Tensor], fine: bool = False) -> Tensor:
    """(targets,) what `score` finds for some of the targets at a time (their indices), put back in order."""
    order = sorted(range(len(targets)), key=lambda j: len(targets[j]))
    groups = min(FINER, len(order) // LEAST) if fine else BUCKETS if len(order) >= 8 * BUCKETS else 1
    size = -(-len(order) // max(1, groups))
    found = torch.cat([score(order[start : start + size]) for start in range(0, len(order), size)])
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    return found[back.to(found.device)]


LEAST_CE = 1e-6
"""Nats: below it 1 - p is 0 in float32, and its log infinite."""


def token_mean(
    hidden: Tensor,
    labels: Tensor,
    real: Tensor,
    logits: Callable[[Tensor], Tensor],
    words: int,
    unlikely: bool = False,
) -> Tensor:
    """(targets, length, width) states, labels and mask of real tokens -> (targets,) mean cross-entropy in nats.

    `unlikely`: the mean of -log(1 - p) instead (arXiv 1908.04319), p the token's own chance.
    `words`: the vocabulary, which decides how many tokens a chunk has. Where there is more than one chunk, none is kept
    for the backward pass but made again in it.
    """
    states, wanted = hidden[real], labels[real]
    kept = torch.is_grad_enabled()
    size = max(1, (LOGITS if kept or states.device.type != "cpu" else LOGITS_UNKEPT) // words)

    def losses(part: Tensor, of: Tensor) -> Tensor:
        return cross_entropy(logits(part), of, reduction="none")

    if len(wanted) <= size:
        flat = losses(states, wanted)
    else:
        parts = list(zip(states.split(size), wanted.split(size), strict=True))
        again = partial(checkpoint, losses, use_reentrant=False) if kept else losses
        flat = torch.cat([again(part, of) for part, of in parts])
    if unlikely:
        flat = -torch.log(-torch.expm1(-flat.clamp(min=LEAST_CE)))
    per_token = torch.zeros(labels.shape, dtype=flat.dtype, device=flat.device).masked_scatter(real, flat)
    return per_token.sum(dim=1) / real.sum(dim=1)


def counted(real: Tensor, starts: Sequence[int] | None, some: Sequence[int]) -> Tensor:
    """The mask of real tokens, without those before `starts[j]` of each target j of `some`; None: all count."""
    if starts is None:
        return real
    first = torch.tensor([starts[j] for j in some], device=real.device)
    return real & (torch.arange(real.shape[1], device=real.device) >= first[:, None])


def pooled(hidden: Tensor, counted: Tensor, logits: Callable[[Tensor], Tensor], words: int) -> Tensor:
    """(targets, length, width) states and mask of counted tokens -> (targets, words) greatest chance of each word.

    In chunks of whole targets, made again for the backward pass: logits of a batch would outweigh the rest of a step.
    """

    def pool(part: Tensor, of: Tensor) -> Tensor:
        return torch.softmax(logits(part), dim=-1).masked_fill(~of[..., None], 0).amax(dim=1)

    size = max(1, LOGITS // (words * hidden.shape[1]))
    parts = zip(hidden.split(size), counted.split(size), strict=True)
    return torch.cat([checkpoint(pool, part, of, use_reentrant=False) for part, of in parts])


def padded(rows: Sequence[Tokens], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(rows, longest) tokens, padded on the right, and the mask of real ones; one column at least."""
    length = max(1, *(len(row) for row in rows))
    ids = torch.tensor([[*row, *[pad] * (length - len(row))] for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    return ids, torch.arange(length, device=device) < lengths[:, None]
