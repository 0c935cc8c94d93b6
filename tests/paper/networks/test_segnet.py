"""SegNet: its size, and what the paper says of its parts."""

from __future__ import annotations

import pytest
import torch
from helpers.network_contract import NetworkContract

from wsi_seg.paper.networks.segnet import SegNet, SegNetConfig

VGG16 = ((3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256), (256, 512)) + (
    (512, 512),
) * 5
"""Channels of VGG16's convolutions."""


@pytest.mark.parametrize("config", [SegNetConfig(3, width=8)], ids=str)
class TestContract(NetworkContract): ...


@pytest.mark.parametrize(("classes", "count"), [(11, 29_449_355), (20, 29_454_548), (21, 29_455_125)])
def test_parameter_count_is_the_published_one(classes: int, count: int) -> None:
    with torch.device("meta"):
        found = sum(p.numel() for p in SegNet(SegNetConfig(classes)).parameters())
    encoder = sum((9 * inputs + 1) * outputs + 2 * outputs for inputs, outputs in VGG16)
    mirrored = sum((9 * outputs + 1) * inputs + 2 * inputs for inputs, outputs in VGG16[1:])
    assert found == count == encoder + mirrored + (9 * 64 + 1) * classes
    assert abs(found / 1e6 - 29.5) < 0.06  # as ESPNet's paper has it


@pytest.mark.parametrize("wrong", [{"classes": 1}, {"width": 0}], ids=str)
def test_a_config_that_makes_no_network_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SegNetConfig(**({"classes": 8} | wrong))


@torch.inference_mode()
def test_odd_maps_are_halved_rounding_up() -> None:
    """As at 480 x 360, whose maps are 45, 23 and 12 pixels high."""
    network = SegNet(SegNetConfig(2, width=4)).eval()
    sides = []
    for stage in network.encoder:
        stage.register_forward_hook(lambda _, __, out: sides.append(tuple(out.shape[-2:])))
    assert network(torch.randn(1, 3, 360, 480)).shape == (1, 2, 360, 480)
    assert sides == [(360, 480), (180, 240), (90, 120), (45, 60), (23, 30)]
