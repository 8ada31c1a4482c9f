"""Products by oneDNN: the same layer, its gradients too, and only where it is meant."""

import pytest
import torch
from torch import nn

from engine.students import gemm

CPU = torch.device("cpu")
AVAILABLE = hasattr(torch.ops.mkldnn, "_linear_pointwise")


@pytest.fixture
def fast_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this were a CPU on which oneDNN is the faster one: its products are right on any."""
    if not AVAILABLE:
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(gemm, "faster_here", lambda: True)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(7, 512), (3, 5, 512), (2, 0, 512)])
def test_values_and_gradients_are_those_of_a_float64_layer(fast_cpu: None, bias: bool, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(512, 320, bias=bias)
    exact = nn.Linear(512, 320, bias=bias).double()
    exact.load_state_dict(layer.state_dict())
    gemm.hasten(layer, CPU, bf16=False)
    assert isinstance(layer, gemm.Linear)
    # transposed and back: what comes in is not always contiguous
    x = torch.randn(shape).transpose(0, -1).contiguous().transpose(0, -1).requires_grad_()
    y = x.detach().double().requires_grad_()
    up = torch.randn(*shape[:-1], 320)

    (layer(x) * up).sum().backward()
    (exact(y) * up.double()).sum().backward()

    torch.testing.assert_close(layer(x).double(), exact(y), atol=1e-5, rtol=1e-5)
    pairs = [(x, y), *zip(layer.parameters(), exact.parameters(), strict=True)]
    for ours, theirs in pairs:
        assert ours.grad is not None
        assert theirs.grad is not None
        torch.testing.assert_close(ours.grad.double(), theirs.grad, atol=1e-4, rtol=1e-4)


def test_frozen_weights_get_no_gradient(fast_cpu: None) -> None:
    layer = nn.Linear(512, 512, bias=False).requires_grad_(False)
    gemm.hasten(layer, CPU, bf16=False)
    x = torch.randn(4, 512, requires_grad=True)
    layer(x).sum().backward()
    assert layer.weight.grad is None
    torch.testing.assert_close(x.grad, layer.weight.sum(dim=0).expand(4, -1), atol=1e-5, rtol=1e-5)


def test_frozen_layers_keep_nothing_of_what_came_in(fast_cpu: None) -> None:
    layer = nn.Linear(512, 512, bias=False).requires_grad_(False)
    gemm.hasten(layer, CPU, bf16=False)
    x, kept = torch.randn(64, 512, requires_grad=True), []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        layer(x)
    assert [tensor.shape for tensor in kept] == [layer.weight.shape]


def test_what_is_not_float32_takes_torchs_own_product(fast_cpu: None) -> None:
    layer, x = nn.Linear(512, 512), torch.randn(4, 512)
    gemm.hasten(layer, CPU, bf16=False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    assert layer.double()(x.double()).dtype == torch.float64


def test_small_layers_other_classes_and_bf16_are_left_alone(fast_cpu: None) -> None:
    class Own(nn.Linear):
        pass

    model = nn.ModuleDict({"small": nn.Linear(64, 256), "own": Own(512, 512), "large": nn.Linear(512, 512)})
    gemm.hasten(model, CPU, bf16=True)
    assert not any(isinstance(layer, gemm.Linear) for layer in model.values())
    gemm.hasten(model, CPU, bf16=False)
    assert [name for name, layer in model.items() if isinstance(layer, gemm.Linear)] == ["large"]


def test_what_is_saved_is_the_same_and_others_code_runs_its_own(fast_cpu: None) -> None:
    model = nn.Sequential(nn.Linear(512, 512), nn.ReLU())
    before = {name: p.clone() for name, p in model.state_dict().items()}
    gemm.hasten(model, CPU, bf16=False)
    assert all(torch.equal(p, before[name]) for name, p in model.state_dict().items())
    with gemm.as_it_came(model):
        assert type(model[0]) is nn.Linear
    assert type(model[0]) is gemm.Linear
    gemm.leave(model)
    assert type(model[0]) is nn.Linear
