"""What a step did to each rationale, as rows for the store and as numbers for the charts."""

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.methods.nce import gamma
from engine.records import Rationale, Visit
from engine.students import integrate
from engine.students.seam import Student
from engine.training.losses import mean_over
from engine.training.step import Row, Stepped


def visits(
    rows: Sequence[Row], stepped: Stepped, followed: set[str], final: Sequence[bool], has_judge: bool
) -> list[Visit]:
    """Every candidate of followed questions and of rows at their last visit; elsewhere the student's own negatives,
    most of which are not seen again."""
    scores, choice = stepped.scores, stepped.outcome.choice
    positive = _Columns(scores.positive_ce, scores.positive_quality, stepped.outcome.positive_weight,
                        choice.positive, scores.positive_mask, stepped.judged_positive)  # fmt: skip
    negative = _Columns(scores.negative_ce, scores.negative_quality, stepped.outcome.negative_weight,
                        choice.negative, choice.active, stepped.judged_negative)  # fmt: skip
    found = []
    for i, row in enumerate(rows):
        follow = row.item.example.id in followed
        everything = follow or final[i]
        for j, c in enumerate(row.item.positives):
            if everything:
                found.append(positive.visit(i, j, c.rationale, follow, has_judge))
        for j, c in enumerate(row.negatives):
            if everything or c.rationale.source == "self":
                found.append(negative.visit(i, j, c.rationale, follow, has_judge))
    return found


def numbers(stepped: Stepped, has_judge: bool) -> dict[str, float]:
    """The step's metrics by series name; what the batch says nothing about is missing."""
    outcome, scores = stepped.outcome, stepped.scores
    found = {f"loss/{name}": float(value) for name, value in outcome.terms.items()}
    found["loss/total"] = float(outcome.loss.detach())
    positive, negative = outcome.choice.positive, outcome.choice.negative
    if positive.any():
        found["cross_entropy/positive"] = float(mean_over(scores.positive_ce.detach(), positive))
        if has_judge:
            found |= _spread("quality", "/positive", scores.positive_quality, positive)
        if scores.positive_taught is not None:
            found |= _spread("gamma", "", gamma(scores.positive_taught[..., 1]), positive)
    if negative.any():
        found["cross_entropy/negative"] = float(mean_over(scores.negative_ce.detach(), negative))
        found["active_share"] = int(outcome.choice.active.sum()) / int(negative.sum())
        if has_judge:
            found |= _spread("quality", "/negative", scores.negative_quality, negative)
    return found


def attention(student: Student) -> dict[str, float]:
    """NAT: each projection's mean of `a`, what the wrong adapter's part is weighed by, over the last step's tokens."""
    adapted = student.adapted
    found = {} if adapted is None else integrate.units(adapted)
    means = {name: float(u.corrected.mean()) for name, u in found.items() if u.corrected is not None}
    if not means:
        return {}
    return {f"attention/{name}": mean for name, mean in means.items()} | {"attention": sum(means.values()) / len(means)}


def _spread(name: str, side: str, values: Tensor, chosen: Tensor) -> dict[str, float]:
    """Mean, and the two tenths of the chosen, below and above which the outer fifth lies."""
    edges = torch.quantile(values[chosen].float(), torch.tensor([0.1, 0.9], device=values.device)).tolist()
    mean = float(mean_over(values, chosen))
    return {f"{name}{side}": mean, f"{name}_low{side}": edges[0], f"{name}_high{side}": edges[1]}


class _Columns:
    """One side's matrices as lists: a thousand single reads of a tensor would cost more than the step."""

    def __init__(self, ce: Tensor, quality: Tensor, weight: Tensor, chosen: Tensor, active: Tensor, judged: Tensor):
        self.ce = ce.detach().tolist()
        self.quality = quality.tolist()
        self.weight = weight.detach().tolist()
        self.chosen = chosen.tolist()
        self.active = active.tolist()
        self.judged = judged.tolist()

    def visit(self, i: int, j: int, rationale: Rationale, followed: bool, has_judge: bool) -> Visit:
        return Visit(
            number=rationale.number,
            example=rationale.example_id,
            quality=self.quality[i][j] if has_judge and self.judged[i][j] else None,
            cross_entropy=self.ce[i][j],
            weight=self.weight[i][j],
            chosen=self.chosen[i][j],
            active=self.active[i][j],
            followed=followed,
        )
