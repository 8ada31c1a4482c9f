"""What NAT says of each token of a rationale, for the adapter that it teaches (arXiv 2312.12832).

One base, three passes: the wrong adapter's, NAT's, both without gradient and in evaluation mode, and the student's own.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import log_softmax
from torch.utils.checkpoint import checkpoint

from engine.students import integrate
from engine.students.scoring import LOGITS, in_buckets
from engine.students.seam import Tokens

States = Callable[[list[int]], tuple[Tensor, Tensor, Tensor]]
"""(places of targets) -> states (targets, length, width), tokens and mask of real ones, as the model now computes."""


class Adapted(Protocol):
    """The students' part of it: states are computed anew in each mode."""

    def states(self, prompts: Sequence[Tokens], rows: Sequence[int], targets: Sequence[Tokens]) -> States: ...


def taught(
    student: Adapted,
    adapted: object,
    prompts: Sequence[Tokens],
    rows: Sequence[int],
    targets: Sequence[Tokens],
    logits: Callable[[Tensor], Tensor],
    words: int,
    pads: bool,
) -> Tensor:
    """(targets, 3): token means of the student's cross-entropy; of -sum p_NAT log p_student, at temperature 1; and of
    KL(p_wrong || p_NAT), summed over the vocabulary. The first two carry gradient.

    `pads`: positions of padding, to the longest target, count as well.
    """
    with torch.no_grad():
        with integrate.using(adapted, "negative", "student"):
            wrong = student.states(prompts, rows, targets)
            wrong_states = {tuple(some): wrong(some)[0] for some in _buckets(targets)}
        with integrate.using(adapted, "nat", "student"):
            nat = student.states(prompts, rows, targets)
            nat_states = {tuple(some): nat(some)[0] for some in _buckets(targets)}
    own = student.states(prompts, rows, targets)

    def bucket(some: list[int]) -> Tensor:
        hidden, labels, real = own(some)
        counted = torch.ones_like(real) if pads else real
        by_token = _by_token(
            hidden[counted],
            nat_states[tuple(some)][counted],
            wrong_states[tuple(some)][counted],
            labels[counted],
            logits,
            words,
        )
        spread = by_token.new_zeros(*real.shape, 3).masked_scatter(counted[..., None].expand(*real.shape, 3), by_token)
        return spread.sum(dim=1) / counted.sum(dim=1, keepdim=True)

    return in_buckets(targets, bucket)


def _buckets(targets: Sequence[Tokens]) -> list[list[int]]:
    """The groups that `in_buckets` makes."""
    groups: list[list[int]] = []

    def note(some: list[int]) -> Tensor:
        groups.append(some)
        return torch.zeros(len(some))

    in_buckets(targets, note)
    return groups


def _by_token(
    own: Tensor, nat: Tensor, wrong: Tensor, labels: Tensor, logits: Callable[[Tensor], Tensor], words: int
) -> Tensor:
    """(tokens, width) states in each mode, and the tokens -> (tokens, 3). In chunks, made again for the gradient."""

    def part(own: Tensor, nat: Tensor, wrong: Tensor, labels: Tensor) -> Tensor:
        mine = log_softmax(logits(own), dim=-1)
        with torch.no_grad():
            teacher, other = log_softmax(logits(nat), dim=-1), log_softmax(logits(wrong), dim=-1)
            apart = (other.exp() * (other - teacher)).sum(dim=-1)
        distance = -(teacher.exp() * mine).sum(dim=-1)
        likely = mine.gather(1, labels[:, None])[:, 0]
        return torch.stack([-likely, distance, apart], dim=-1)

    size = max(1, LOGITS // (3 * words))
    if len(labels) <= size:
        return part(own, nat, wrong, labels)
    chunks = zip(*(x.split(size) for x in (own, nat, wrong, labels)), strict=True)
    again = partial(checkpoint, part, use_reentrant=False)
    return torch.cat([again(*chunk) for chunk in chunks])
