"""ENet: its size, and what the paper says of its parts."""

from __future__ import annotations

import pytest
import torch
from helpers.network_contract import NetworkContract
from helpers.networks import layer
from torch import nn

from wsi_seg.paper.networks.enet import Bottleneck, Down, ENet, ENetConfig, Up


@pytest.mark.parametrize("config", [ENetConfig(3)], ids=str)
class TestContract(NetworkContract):
    threads = (1, 2)  # its transposed convolutions round differently on more


def weights_by_hand(classes: int) -> int:
    """Count the weights from the paper's table: (inputs, outputs, kind) of each bottleneck."""

    def bottleneck(inputs: int, outputs: int, reduce: int, middle: int, slopes: bool) -> int:
        thin = outputs // 4
        acts = 2 * thin + outputs if slopes else 0
        norms = 2 * (thin + thin + outputs)
        return inputs * thin * reduce + thin * thin * middle + thin + thin * outputs + norms + acts

    initial = 27 * 13 + 13 + 2 * 16 + 16
    stage1 = bottleneck(16, 64, 4, 9, True) + 4 * bottleneck(64, 64, 1, 9, True)
    regular, asymmetric = bottleneck(128, 128, 1, 9, True), bottleneck(128, 128, 1, 5 + 5, True)
    stages23 = bottleneck(64, 128, 4, 9, True) + 2 * (6 * regular + 2 * asymmetric)
    up4 = bottleneck(128, 64, 1, 9, False) + 128 * 64 + 2 * 64
    up5 = bottleneck(64, 16, 1, 9, False) + 64 * 16 + 2 * 16
    rest = 2 * bottleneck(64, 64, 1, 9, False) + bottleneck(16, 16, 1, 9, False)
    return initial + stage1 + stages23 + up4 + up5 + rest + 16 * classes * 4 + classes


@pytest.mark.parametrize(("classes", "count"), [(19, 364_311), (20, 364_376)])
def test_parameter_count_is_the_published_one(classes: int, count: int) -> None:
    found = sum(p.numel() for p in ENet(ENetConfig(classes)).parameters())
    assert found == count == weights_by_hand(classes)
    assert round(found / 1e6, 2) == 0.36  # 0.37 in the paper, 0.36 in ESPNet's and others


def test_a_config_that_makes_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="classes"):
        ENetConfig(1)


def test_values_go_back_to_where_the_maxima_lay() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 6, 10)
    down, up = Down(4, 8, 0.0).eval(), Up(8, 4).eval()
    _, places = down(x)
    for name in ("project.0", "extension.0.0.0"):
        nn.init.ones_(layer(up, name, nn.Conv2d).weight)
    nn.init.zeros_(layer(up, "extension.2.0", nn.Conv2d).weight)
    marks = up(torch.ones(2, 8, 3, 5), places) > 0
    squares = x.unfold(2, 2, 2).unfold(3, 2, 2)
    assert torch.equal(x[marks].sort().values, squares.amax(dim=(-2, -1)).flatten().sort().values)


def test_dilations_are_the_papers() -> None:
    middles = [
        m.get_submodule("extension.1.0") for m in ENet(ENetConfig(2)).modules() if isinstance(m, Bottleneck)
    ]
    seen = [m.dilation[0] if isinstance(m, nn.Conv2d) else "5x1, 1x5" for m in middles]
    repeated = [1, 2, "5x1, 1x5", 4, 1, 8, "5x1, 1x5", 16]
    assert seen == [1] * 4 + repeated + repeated + [1] * 3
