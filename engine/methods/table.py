"""The methods by name. Each is a module with `supervise(config, voted, labels)` and `loss(config, scores)`.

One whose loss asks for more than cross-entropies has a third, `wants(config)`.
"""

from types import ModuleType
from typing import Any

from engine.methods import (
    contrastive,
    cot_kd,
    dss,
    finetune,
    mi,
    mix,
    nat,
    nce,
    negative_training,
    orpo,
    positives,
    qcrd,
    redi,
    single_task,
    unlikelihood,
)
from engine.training.losses import Wants


def wants(method: ModuleType, config: Any) -> Wants:
    """What the method's loss asks of a step."""
    found: Wants = method.wants(config) if hasattr(method, "wants") else Wants()
    return found


METHODS: dict[str, ModuleType] = {
    "finetune": finetune,
    "single-task": single_task,
    "dss": dss,
    "mi": mi,
    "positives": positives,
    "qcrd": qcrd,
    "orpo": orpo,
    "redi": redi,
    "cot-kd": cot_kd,
    "mix": mix,
    "contrastive": contrastive,
    "negative-training": negative_training,
    "unlikelihood": unlikelihood,
    "nat": nat,
    "nce": nce,
}
