"""QCRD's contrastive loss and the discriminator's, as functions of cross-entropies and qualities alone.

Paper: arXiv 2405.13014 v2. N is the number of examples in the batch that have at least one positive.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from engine.spec.methods import QcrdLoss


@dataclass(frozen=True, slots=True)
class Choice:
    """Which candidates a loss uses; `loss` of the same method gives it for scores without gradient."""

    positive: Tensor
    """(B, m) bool: their cross-entropy or quality enters the loss."""
    negative: Tensor
    """(B, k) bool: chosen, whether or not the hinge silences them."""
    active: Tensor
    """(B, k) bool: chosen and not silenced: these alone carry gradient."""


@dataclass(frozen=True, slots=True)
class Wants:
    """What a method's loss asks of the step beyond cross-entropies: the method's `wants(config)`."""

    pads: bool | None = None
    """Pooled probabilities, with or without those at pads; None: none."""
    unlikely: bool = False
    """The active negatives' mean of -log(1 - p) instead of their cross-entropy."""
    uses_all: bool = False
    """It chooses all candidates, whatever their cross-entropies, so that none has to be scored before."""
    taught: Literal["", "rationale", "released"] = ""
    """What NAT says of the chosen positives, by which mask; "": nothing."""


@dataclass(frozen=True, slots=True)
class Scores:
    """A batch of B examples as a method's loss sees it; entries outside a mask are 0 and mean nothing."""

    predict_ce: Tensor
    """(B,) cross-entropy of the label."""
    predict_mask: Tensor
    """(B,) bool: the example has a label."""
    positive_ce: Tensor
    """(B, m) token-mean cross-entropy, nats."""
    positive_mask: Tensor
    """(B, m) bool"""
    negative_ce: Tensor
    """(B, k)"""
    negative_mask: Tensor
    """(B, k) bool"""
    positive_quality: Tensor
    """(B, m) the discriminator's s in [0, 1]; 1 where the method has none."""
    negative_quality: Tensor
    """(B, k) the same of negatives; 0 where the method has none."""
    draw: Tensor
    """(B, 2) uniform in [0, 1): the scheme "sampling" draws with these."""
    choice: Choice | None = None
    """Set in the second pass: what the first chose is what the gradient flows through."""
    progress: float = 0.0
    """Share of the training that is done, in [0, 1): methods of two stages look at it."""
    predict_pooled: Tensor | None = None
    """(B, V) each token's greatest probability over the label's positions; None where the method does not ask."""
    positive_pooled: Tensor | None = None
    """(B, V) the same over the chosen positive's positions; it alone carries gradient."""
    negative_unlikely: Tensor | None = None
    """(B, k) token-mean -log(1 - p) of the active negatives; None where the method does not ask."""
    positive_taught: Tensor | None = None
    """(B, m, 2) of the chosen positives: how far NAT's tokens are from the student's, and wrong ones from NAT's."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a method's loss says of a batch."""

    loss: Tensor
    """The scalar to minimise."""
    terms: dict[str, Tensor]
    """Its parts by name ("predict", "contrast", ...), without gradient."""
    choice: Choice
    positive_weight: Tensor
    """(B, m) the factor of each cross-entropy within N times the explain term."""
    negative_weight: Tensor
    """(B, k) the size of that factor, 0 for silent ones: its sign is negative. Below 0: pulled, not pushed (`mix`)."""


def mean_over(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` where `mask`; 0 where the mask is empty."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def pick_least(values: Tensor, mask: Tensor) -> Tensor:
    """(B, n) -> (B, n) bool, the first least masked entry of each row; all False in a row without any."""
    return _pick(values.detach().masked_fill(~mask, torch.inf).argmin(dim=1), mask)


def pick_greatest(values: Tensor, mask: Tensor) -> Tensor:
    """(B, n) -> (B, n) bool, the first greatest masked entry of each row; all False in a row without any."""
    return _pick(values.detach().masked_fill(~mask, -torch.inf).argmax(dim=1), mask)


def pick_drawn(draw: Tensor, mask: Tensor) -> Tensor:
    """(B,) uniform numbers -> (B, n) bool, one masked entry of each row, all equally likely."""
    rank = (draw * mask.sum(dim=1)).long()
    nth = mask.long().cumsum(dim=1) - 1
    return mask & (nth == rank[:, None])


def _pick(index: Tensor, mask: Tensor) -> Tensor:
    return torch.zeros_like(mask).scatter_(1, index[:, None], True) & mask


def choose(config: QcrdLoss, select: str, scores: Scores) -> Choice:
    """The positives and negatives that a scheme uses (section 3.3; table 5 of the paper has all five).

    minmax: least cross-entropy among positives; among negatives the max of min(CE - delta, 0), which the greatest
    cross-entropy attains, so that one negative beyond delta silences all. maxmin: the reverse on both sides.
    """
    positive_mask, negative_mask = scores.positive_mask, scores.negative_mask
    if config.scheme == "minmax":
        positive = pick_least(scores.positive_ce, positive_mask)
        pick = pick_greatest if select == "max" else pick_least
        negative = pick(scores.negative_ce, negative_mask)
    elif config.scheme == "maxmin":
        positive = pick_greatest(scores.positive_ce, positive_mask)
        negative = pick_least(scores.negative_ce, negative_mask)
    elif config.scheme == "sampling":
        positive = pick_drawn(scores.draw[:, 0], positive_mask)
        negative = pick_drawn(scores.draw[:, 1], negative_mask)
    else:  # mean, weighted-mean
        positive, negative = positive_mask, negative_mask
    # an example without a positive is not in the sum over N
    negative = negative & positive_mask.any(dim=1, keepdim=True)
    return Choice(positive, negative, negative & (_excess(config, scores, positive) < 0))


def _excess(config: QcrdLoss, scores: Scores, positive: Tensor) -> Tensor:
    """(B, k) how far each negative's cross-entropy is beyond delta; margin: beyond the chosen positives' plus delta.

    The positives' cross-entropy is a constant here: their own term pulls them.
    """
    if config.hinge == "absolute":
        return scores.negative_ce - config.delta
    reference = (scores.positive_ce.detach() * _share(torch.ones_like(scores.positive_ce), positive)).sum(dim=1)
    return scores.negative_ce - reference[:, None] - config.delta


def contrastive(config: QcrdLoss, scores: Scores, choice: Choice, normalise: bool) -> tuple[Tensor, Tensor, Tensor]:
    """L_cl, and the weights it gives positives and negatives (equation 6 of the paper, with the scheme's aggregate).

    L_cl = 1/N sum_i [ s_pos CE(pos) - beta (1 - s_neg) min(CE(neg) - delta, 0) ]
    With `hinge = "margin"` delta is counted from CE(pos), with `ramp` beta grows at the start: ours, for comparison.
    """
    examples = scores.positive_mask.any(dim=1).sum().clamp(min=1)
    beta = config.beta * (min(1.0, scores.progress / config.ramp) if config.ramp else 1.0)
    s = scores.positive_quality.detach()
    badness = 1 - scores.negative_quality.detach()
    if normalise:
        s = s / mean_over(s, choice.positive).clamp(min=1e-6)
        badness = badness / mean_over(badness, choice.negative).clamp(min=1e-6)
    if config.scheme == "weighted-mean":
        # the qualities are the shares of a row: better positives and worse negatives count more
        positive_weight = _share(scores.positive_quality.detach(), choice.positive)
        negative_weight = beta * _share(1 - scores.negative_quality.detach(), choice.negative)
    else:
        positive_weight = s * _share(torch.ones_like(s), choice.positive)
        negative_weight = beta * badness * _share(torch.ones_like(badness), choice.negative)
    hinge = _excess(config, scores, choice.positive).clamp(max=0)
    negative_weight = negative_weight * choice.active  # decided once: dropout must not wake a silent one in the sum
    total = (positive_weight * scores.positive_ce).sum() - (negative_weight * hinge).sum()
    return total / examples, positive_weight, negative_weight


def _share(values: Tensor, used: Tensor) -> Tensor:
    values = values * used
    return values / values.sum(dim=1, keepdim=True).clamp(min=1e-6)


def ranking(positive: Tensor, positive_mask: Tensor, negative: Tensor, negative_mask: Tensor) -> Tensor:
    """L_D = E_x[-log(sum_j exp(s_j_pos) / sum_j exp(s_j_neg))] over examples that have both (equation 3).

    Scores (B, m) and (B, k) in [0, 1]; 0 where no example has both.
    """
    both = positive_mask.any(dim=1) & negative_mask.any(dim=1)
    if not both.any():
        return positive.sum() * 0
    up = positive.masked_fill(~positive_mask, -torch.inf)[both].logsumexp(dim=1)
    down = negative.masked_fill(~negative_mask, -torch.inf)[both].logsumexp(dim=1)
    return (down - up).mean()


def anchored(positive: Tensor, positive_mask: Tensor, negative: Tensor, negative_mask: Tensor) -> Tensor:
    """Cross-entropy of positive against negative on logits (B, m) and (B, k): it fixes the level that L_D leaves open.

    Means within an example's positives and negatives, so that classes are balanced; then over examples with both.
    """
    return _over_both(
        -_within(logsigmoid(positive), positive_mask) - _within(logsigmoid(-negative), negative_mask),
        positive_mask,
        negative_mask,
    )


def bradley_terry(positive: Tensor, positive_mask: Tensor, negative: Tensor, negative_mask: Tensor) -> Tensor:
    """-log sigmoid(z_pos - z_neg) on logits (B, m) and (B, k): mean over an example's pairs, then over examples.

    Bradley and Terry 1952; the reward model's loss of arXiv 2203.02155 (equation 1).
    """
    pairs = logsigmoid(positive[:, :, None] - negative[:, None, :]).flatten(1)
    mask = (positive_mask[:, :, None] & negative_mask[:, None, :]).flatten(1)
    return _over_both(-_within(pairs, mask), positive_mask, negative_mask)


def _within(values: Tensor, mask: Tensor) -> Tensor:
    """(B, n) -> (B,) means of the masked entries; 0 for none."""
    return (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def _over_both(values: Tensor, positive_mask: Tensor, negative_mask: Tensor) -> Tensor:
    return mean_over(values, positive_mask.any(dim=1) & negative_mask.any(dim=1))
