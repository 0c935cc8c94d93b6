"""The PReLU that training uses gives PyTorch's values and gradients."""

import pytest
import torch

from wsi_seg.models.prelu import PReLU


@pytest.mark.parametrize("channels", [1, 16, 19, 20, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_same_as_torch(channels: int, dtype: torch.dtype) -> None:
    torch.manual_seed(channels)
    ours = PReLU(channels)
    with torch.no_grad():
        ours.weight.copy_(torch.linspace(-0.5, 1.5, channels))
    theirs = torch.nn.PReLU(channels)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, channels, 6, 10).to(dtype).contiguous(memory_format=torch.channels_last)
    x[0, 0, 0, :2] = 0
    upstream = torch.randn(2, channels, 6, 10).to(dtype)  # not channels-last

    def run(layer: torch.nn.PReLU) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
        y = torch.nn.functional.prelu(leaf, layer.weight.to(dtype)) if layer is theirs else layer(leaf)
        of_x, of_weight = torch.autograd.grad(y, [leaf, layer.weight], upstream)
        return y, of_x, of_weight

    (y, of_x, of_weight), (y0, of_x0, _) = run(ours), run(theirs)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(y, y0)
    assert torch.allclose(of_x, of_x0, rtol=1e-6 if dtype == torch.float32 else 1e-2, atol=0)
    exact = (upstream.double() * x.double().clamp(max=0)).sum((0, 2, 3))
    # Each product is rounded once, to 2 ** -24 or 2 ** -9 of itself.
    size = (upstream.double() * x.double().clamp(max=0)).abs().sum((0, 2, 3))
    allowed = size * (1e-6 if dtype == torch.float32 else 2**-8)
    assert ((of_weight.double() - exact).abs() <= allowed).all()


def test_plain_layout_and_evaluation_take_torchs_own_way() -> None:
    layer = PReLU(4)
    x = torch.randn(2, 4, 3, 5)
    assert torch.equal(layer(x), torch.nn.functional.prelu(x, layer.weight))
    with torch.inference_mode():
        last = x.contiguous(memory_format=torch.channels_last)
        assert torch.equal(layer(last), torch.nn.functional.prelu(last, layer.weight))
