"""Products with the weights of large linear layers by oneDNN, on CPUs where torch's own choice (MKL) is the slower one.

On an AMD CPU with AVX-512 a forward product of 512 and more columns took 0.55 to 0.95 of MKL's time, one of the
gradient's two 0.8 to 0.9. Small ones are left alone: oneDNN prepares itself anew for each shape, as long as they take.
"""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

LEAST = 2**17
"""Weights of a layer that is worth it: 512 x 512 is, 64 x 256 is not."""


@cache
def faster_here() -> bool:
    """Whether this machine's CPU is one on which it was measured to be faster."""
    cpus = Path("/proc/cpuinfo")
    return (
        platform.machine() == "x86_64"
        and cpus.is_file()
        and "AuthenticAMD" in cpus.read_text()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.backends.mkl.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


class Linear(nn.Linear):
    """A linear layer in float32 whose forward product, and the gradient for what comes in, are oneDNN's."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out); torch's own where what comes in is not in the weights' float32 or is to be cast."""
        if x.dtype != torch.float32 or self.weight.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        found: Tensor = _Product.apply(x, self.weight, self.bias)
        return found


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        of_x, of_weight, _ = ctx.needs_input_grad
        ctx.save_for_backward(x if of_weight else None, weight if of_x else None)  # adapters: weights are frozen
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, up: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        flat = up.reshape(-1, up.shape[-1])
        return (
            _product(up, weight.t(), None) if of_x else None,
            flat.t() @ x.reshape(-1, x.shape[-1]) if of_weight else None,  # MKL's is as fast here
            flat.sum(dim=0) if of_bias else None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found


def hasten(model: nn.Module, device: torch.device, bf16: bool) -> None:
    """The model's large linear layers multiply by oneDNN from here on, where that is faster; names, weights and what is
    saved stay as they are. With bf16 torch itself takes oneDNN."""
    if device.type == "cpu" and not bf16 and faster_here():
        for layer in model.modules():
            if type(layer) is nn.Linear and layer.weight.numel() >= LEAST and layer.weight.dtype == torch.float32:
                layer.__class__ = Linear


def leave(model: nn.Module) -> list[nn.Module]:
    """The model's own layers from here on; which ones had been hastened."""
    hastened: list[nn.Module] = [layer for layer in model.modules() if type(layer) is Linear]
    for layer in hastened:
        layer.__class__ = nn.Linear
    return hastened


@contextmanager
def as_it_came(model: nn.Module) -> Iterator[None]:
    """The model's own layers for as long as this lasts: what others' code would run."""
    hastened = leave(model)
    try:
        yield
    finally:
        for layer in hastened:
            layer.__class__ = Linear
