"""NAT, the second stage (arXiv 2312.12832): right rationales through both adapters and their unit.

The loss is CoT-KD's; what differs is the student (`students/integrate.py`), whose adapter of wrong rationales a stage
of its own has trained before (`training/adapter_stage.py`).
"""

from engine.methods import cot_kd
from engine.methods.cot_kd import wants
from engine.methods.rationales import supervise
from engine.spec.dust_into_gold import CotKd, Nat
from engine.training.losses import Outcome, Scores

__all__ = ["loss", "supervise", "wants"]


def loss(config: Nat, scores: Scores) -> Outcome:
    """The mean CE of all right rationales of the batch."""
    return cot_kd.loss(CotKd(), scores)
