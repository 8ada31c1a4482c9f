"""The methods by name. Each is a module with `supervise(config, voted, labels)` and `loss(config, scores)`."""

from types import ModuleType

from engine.methods import dss, finetune, mi, orpo, positives, qcrd, redi, single_task

METHODS: dict[str, ModuleType] = {
    "finetune": finetune,
    "single-task": single_task,
    "dss": dss,
    "mi": mi,
    "positives": positives,
    "qcrd": qcrd,
    "orpo": orpo,
    "redi": redi,
}
