"""The learning rate over a training."""

from engine.spec.sections import TrainingConfig


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Linear warm-up, then constant or linear to 0 (step from 1)."""
    if step <= config.warmup:
        return config.lr * step / max(config.warmup, 1)
    if config.schedule == "constant":
        return config.lr
    return config.lr * (config.steps - step + 1) / max(config.steps - config.warmup, 1)
