"""Normalisation and activation in one kernel give PyTorch's values, gradients and running statistics."""

import pytest
import torch
from torch import Tensor, nn

from wsi_seg.inference.network.folding import folded
from wsi_seg.models import training_kernels
from wsi_seg.models.norm_act import NormAct

pytestmark = pytest.mark.skipif(
    training_kernels.kernels_for(torch.zeros(1, 1, 1, 1)) is None, reason="no compiled kernels here"
)

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2**-8}
"""Of the largest value: kernels compute in float32, and round once to the image's type."""


def layer(channels: int) -> NormAct:
    torch.manual_seed(channels)
    made = NormAct(channels)
    with torch.no_grad():
        for parameter, (low, high) in zip(made.parameters(), ((0.5, 2), (-1, 1), (-0.5, 1.2)), strict=True):
            parameter.uniform_(low, high)
    return made


def exactly(ours: NormAct) -> nn.Sequential:
    """PyTorch's own layers with the same weights, in double."""
    channels = next(ours.parameters()).numel()
    theirs = nn.Sequential(nn.BatchNorm2d(channels, eps=1e-3), nn.PReLU(channels)).double()
    theirs.load_state_dict(ours.state_dict())
    return theirs


def image(channels: int, dtype: torch.dtype, mean: float = 3.0) -> Tensor:
    made = (torch.randn(3, channels, 37, 53) * 2 + mean).to(dtype)
    return made.contiguous(memory_format=torch.channels_last)


def results(made: nn.Module, x: Tensor, upstream: Tensor) -> tuple[Tensor, ...]:
    leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
    y = made(leaf)
    return y, *torch.autograd.grad(y, [leaf, *made.parameters()], upstream)


def assert_near(found: Tensor, exact: Tensor, tolerance: float) -> None:
    assert (found.double() - exact).abs().max() <= tolerance * exact.abs().max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels", [1, 3, 12, 16, 19, 64, 131, 256])
def test_same_as_torch_in_double(channels: int, dtype: torch.dtype) -> None:
    ours = layer(channels)
    theirs, x = exactly(ours), image(channels, dtype)
    upstream = torch.randn(x.shape).to(dtype)  # not channels-last
    found, exact = results(ours, x, upstream), results(theirs, x.double(), upstream.double())
    assert found[0].is_contiguous(memory_format=torch.channels_last)
    assert found[0].dtype == found[1].dtype == dtype
    for one, other in zip(found[:2], exact[:2], strict=True):
        assert_near(one, other, TOLERANCE[dtype])
    for one, other in zip(found[2:], exact[2:], strict=True):
        assert_near(one, other, 1e-4)  # near zero an activation's side may differ by a rounding
    for one, other in zip(ours.buffers(), theirs.buffers(), strict=True):
        assert_near(one, other, 1e-5)


def test_variance_keeps_its_digits_far_from_zero() -> None:
    ours = layer(4)
    theirs, x = exactly(ours), image(4, torch.float32, mean=10_000)
    found, exact = ours(x.requires_grad_()), theirs(x.double())
    assert (found.double() - exact).abs().max() < 0.02  # float32 has steps of 0.001 there
    for name in ("0.running_mean", "0.running_var"):
        assert_near(ours.get_buffer(name), theirs.get_buffer(name), 1e-5)


def test_relu() -> None:
    ours = NormAct(8, "relu")
    x = image(8, torch.float32)
    assert torch.equal(ours(x.requires_grad_()) > 0, nn.BatchNorm2d(8, eps=1e-3)(x) > 0)
    assert "1.weight" not in ours.state_dict()


def test_bits_do_not_depend_on_threads() -> None:
    x, upstream = image(19, torch.bfloat16), image(19, torch.bfloat16)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            ours = layer(19)
            found.append((*results(ours, x, upstream), *ours.buffers()))
    finally:
        torch.set_num_threads(before)
    for others in found[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found[0], others, strict=True))


def test_not_a_number_stays_so() -> None:
    x = image(3, torch.bfloat16)
    x[0, 1, 0, 0] = torch.nan
    y = layer(3)(x.requires_grad_())
    assert y[:, 1].isnan().all()
    assert not y[:, [0, 2]].isnan().any()


@pytest.mark.parametrize("how", ["evaluation", "no gradients", "other layout", "one value"])
def test_all_else_is_left_to_torch(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, x = layer(5), image(5, torch.float32)

    def called(*_: object) -> None:
        raise AssertionError("the kernel was called")

    monkeypatch.setattr("wsi_seg.models.norm_act._Together.apply", called)
    if how == "evaluation":
        ours.eval()
        assert ours(x).shape == x.shape
    elif how == "no gradients":
        with torch.no_grad():
            assert ours(x).shape == x.shape
        assert ours[0].num_batches_tracked == 1
    elif how == "other layout":
        assert ours(x.contiguous()).shape == x.shape
    else:
        with pytest.raises(ValueError, match="more than 1 value"):
            ours(x[:1, :, :1, :1])
    with pytest.raises(AssertionError, match="was called"):
        ours.train()(x)


def test_folded_into_a_convolution_it_still_runs() -> None:
    made = nn.Sequential(nn.Conv2d(3, 5, 1), layer(5)).eval()
    x = image(3, torch.float32)
    with torch.no_grad():
        expected, found = made(x), folded(made)
        assert isinstance(found.get_submodule("1.0"), nn.Identity)
        assert torch.allclose(found(x), expected, atol=1e-4)
    assert torch.allclose(found(x.requires_grad_()), expected, atol=1e-4)


def test_without_a_compiler_torch_does_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, upstream = image(20, torch.float32), image(20, torch.float32)
    ours = layer(20)
    with_kernels = results(ours, x, upstream)
    monkeypatch.setattr(training_kernels, "_loaded_once", dict)
    without = results(layer(20), x, upstream)
    for one, other in zip(with_kernels, without, strict=True):
        assert_near(one, other.double(), 1e-4)
