"""The methods by name. Each is a module with `supervise(config, voted, labels)` and `loss(config, scores)`.

One that uses every rationale, whatever its cross-entropy, says so: `USES_ALL = True`.
"""

from types import ModuleType

from engine.methods import (
    contrastive,
    cot_kd,
    dss,
    finetune,
    mi,
    mix,
    nat,
    negative_training,
    orpo,
    positives,
    qcrd,
    redi,
    single_task,
    unlikelihood,
)

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
}
