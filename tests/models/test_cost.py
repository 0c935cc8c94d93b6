"""What networks cost, against sums made by hand and against a second way of counting."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from wsi_seg.models.biopsy import BiopsyNet
from wsi_seg.models.biopsy_config import BiopsyConfig
from wsi_seg.models.cost import activation_peak, count_macs, count_parameters
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig

H, W = 16, 24
PIXELS = H * W


def authors(q: int) -> ESPNet:
    return ESPNet(ESPNetConfig(20, q=q, decoder_width=20, decoder_skip="level1"))


def hooked(network: nn.Module, height: int, width: int) -> int:
    """Count MACs from the sizes that each convolution really takes and gives."""
    macs = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        assert isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        pixels = (inputs[0] if isinstance(module, nn.ConvTranspose2d) else output)[0, 0].numel()
        macs += pixels * module.weight.numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 3, height, width))
    return macs


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), 8 * 3 * 9 * PIXELS),
        (nn.Conv2d(3, 8, 1, bias=False), 8 * 3 * PIXELS),
        (nn.Conv2d(3, 8, 3, stride=2, padding=1), 8 * 3 * 9 * PIXELS // 4),
        (nn.Conv2d(3, 8, 3, padding=4, dilation=4), 8 * 3 * 9 * PIXELS),
        (nn.Conv2d(3, 9, 3, padding=1, groups=3), 9 * 9 * PIXELS),
        (nn.ConvTranspose2d(3, 8, 2, stride=2), 3 * 8 * 4 * PIXELS),
        (nn.ConvTranspose2d(3, 9, 3, stride=2, padding=1, groups=3), 9 * 9 * PIXELS),
        (nn.Sequential(nn.Flatten(), nn.Linear(3 * PIXELS, 7)), 7 * 3 * PIXELS),
        (nn.Sequential(nn.BatchNorm2d(3), nn.PReLU(3), nn.AvgPool2d(3)), 0),
    ],
    ids=str,
)
def test_macs_of_single_layers(layer: nn.Module, macs: int) -> None:
    assert count_macs(layer, H, W) == macs


@pytest.mark.parametrize(
    ("network", "parameters", "macs", "peak"),
    [
        # C, in floats: the image, half and quarter; level 1, plain and reinforced; the first map of
        # level 2; and three times level 2 with all that is beside it: merged, normalised, activated.
        (
            ESPNet(ESPNetConfig(20, variant="C")),
            187_529,
            2_159_435_776,
            4 * 512 * 1024 * (3 + 3 / 4 + 3 / 16 + (16 + 19) / 4 + (64 + 3 * 131) / 16),
        ),
        (authors(q=3), 202_649, 3_398_721_536, 100.5 * 2**20),
        (authors(q=8), 364_569, 4_709_441_536, 100.5 * 2**20),
    ],
    ids=["C", "q=3", "q=8"],
)
def test_the_papers_networks_at_1024_x_512(network: ESPNet, parameters: int, macs: int, peak: float) -> None:
    assert count_parameters(network) == parameters
    assert count_macs(network, 512, 1024) == macs
    assert activation_peak(network, 512, 1024) == peak


def test_two_ways_of_counting_agree() -> None:
    for network in (authors(q=3), BiopsyNet(BiopsyConfig(8))):
        assert count_macs(network, 64, 96) == hooked(network, 64, 96)


def test_the_network_stays_as_it_is() -> None:
    network = authors(q=1).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    count_macs(network, H, W)
    activation_peak(network, H, W, torch.bfloat16)
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    ("network", "floats"),
    [
        (nn.Conv2d(3, 8, 1), 3 + 8),
        (nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(inplace=True)), 3 + 8),
        (nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU()), 3 + 8 + 8),
        (nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 2, 1)), 3 + 8 + 8),
        (nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 100, 1)), 3 + 2 + 25),
        (nn.Sequential(nn.Conv2d(3, 8, 1), nn.Flatten(), nn.Unflatten(1, (8, H, W))), 3 + 8),
    ],
    ids=str,
)
def test_peak_is_what_is_alive_together(network: nn.Module, floats: int) -> None:
    assert activation_peak(network, H, W) == floats * PIXELS * 4
    assert activation_peak(network, H, W, torch.bfloat16) == floats * PIXELS * 2


def test_a_skip_is_kept_until_it_is_used() -> None:
    class Skip(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            kept = image + 1
            small = nn.functional.max_pool2d(kept, 4)
            large = nn.functional.interpolate(small, scale_factor=4)
            del small
            return large + kept  # the image, what is kept, the large one and the sum

    assert activation_peak(Skip(), H, W) == 4 * 3 * PIXELS * 4


def test_a_size_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="pad to 104 x 64"):
        count_macs(authors(q=1), 64, 100)
