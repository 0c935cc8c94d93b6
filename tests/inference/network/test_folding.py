from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from helpers.networks import disturb
from torch import nn

from wsi_seg.inference.network.folding import folded
from wsi_seg.models.biopsy import BiopsyNet
from wsi_seg.models.biopsy_config import BiopsyConfig
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig


def uneven(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            disturb(module)
    return network.eval()


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize(
    ("network", "fewer"),
    [
        (lambda: BiopsyNet(BiopsyConfig(3)), True),
        (lambda: BiopsyNet(BiopsyConfig(3, block="residual")), True),
        (lambda: ESPNet(ESPNetConfig(3)), True),
        (lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1)), False),
    ],
    ids=["biopsy", "residual", "espnet", "norm first"],
)
@torch.inference_mode()
def test_a_folded_network_is_the_same_function(network: Callable[[], nn.Module], fewer: bool) -> None:
    torch.manual_seed(0)
    plain = uneven(network())
    before, count = torch.cat([t.flatten() for t in plain.state_dict().values()]), norms(plain)
    fast = folded(plain)
    image = torch.randn(1, 3, 64, 96)
    expected = plain(image)
    torch.testing.assert_close(fast(image), expected, atol=1e-5 * expected.abs().max().item(), rtol=0)
    assert (norms(fast) < count) == fewer
    assert norms(plain) == count
    assert torch.equal(before, torch.cat([t.flatten() for t in plain.state_dict().values()]))


@torch.inference_mode()
def test_a_norm_that_others_see_the_input_of_stays() -> None:
    class Both(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            convolved: torch.Tensor = self[0](x)
            normed: torch.Tensor = self[1](convolved)
            return convolved + normed

    plain = uneven(nn.Sequential(nn.ReLU(), Both(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))))
    image = torch.randn(1, 3, 8, 8)
    torch.testing.assert_close(folded(plain)(image), plain(image))


def test_weights_too_small_to_matter_become_zero() -> None:
    layer = nn.Conv2d(1, 1, 1)
    nn.init.constant_(layer.weight, 1e-39)
    assert layer.bias is not None
    nn.init.constant_(layer.bias, 1e-5)
    (fast,) = folded(nn.Sequential(layer)).children()
    assert isinstance(fast, type(layer))
    assert fast.bias is not None
    assert fast.weight.item() == 0
    assert fast.bias.item() == pytest.approx(1e-5)
    assert layer.weight.item() != 0
