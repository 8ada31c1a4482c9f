"""The schedule by hand."""

import pytest

from engine.spec.sections import TrainingConfig
from engine.training.schedule import learning_rate


def test_warm_up_then_linear_to_zero() -> None:
    config = TrainingConfig(steps=10, iterations=5, warmup=4, lr=1.0, schedule="linear")
    found = [learning_rate(config, step) for step in range(1, 11)]
    assert found == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


def test_constant_and_without_warm_up() -> None:
    config = TrainingConfig(steps=3, iterations=1, warmup=0, lr=0.5, schedule="constant")
    assert [learning_rate(config, step) for step in (1, 2, 3)] == [0.5, 0.5, 0.5]
