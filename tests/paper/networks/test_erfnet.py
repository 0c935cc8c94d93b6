"""ERFNet: its size, and what the paper says of its parts."""

from __future__ import annotations

import pytest
import torch
from helpers.network_contract import NetworkContract
from torch import nn
from torch.nn import functional

from wsi_seg.paper.networks.erfnet import Block, ERFNet, ERFNetConfig


@pytest.mark.parametrize("config", [ERFNetConfig(3)], ids=str)
class TestContract(NetworkContract):
    threads = (1, 2)  # its transposed convolutions round differently on more


def weights_by_hand(classes: int) -> int:
    """Count the weights from the paper's table."""

    def block(channels: int) -> int:
        return 4 * (3 * channels * channels + channels) + 2 * 2 * channels

    def down(inputs: int, outputs: int) -> int:
        return (9 * inputs + 1) * (outputs - inputs) + 2 * outputs

    def up(inputs: int, outputs: int) -> int:
        return (9 * inputs + 1) * outputs + 2 * outputs

    encoder = down(3, 16) + down(16, 64) + 5 * block(64) + down(64, 128) + 8 * block(128)
    decoder = up(128, 64) + 2 * block(64) + up(64, 16) + 2 * block(16)
    return encoder + decoder + (16 * 4 + 1) * classes


@pytest.mark.parametrize(("classes", "count"), [(19, 2_064_191), (20, 2_064_256)])
def test_parameter_count_is_the_published_one(classes: int, count: int) -> None:
    found = sum(p.numel() for p in ERFNet(ERFNetConfig(classes)).parameters())
    assert found == count == weights_by_hand(classes)
    assert round(found / 1e6, 2) == 2.06
    # The released network keeps the encoder's own output, too.
    assert round((found + (128 + 1) * classes) / 1e6, 2) == 2.07


def test_a_config_that_makes_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="classes"):
        ERFNetConfig(1)


def test_a_block_is_two_factorised_convolutions() -> None:
    torch.manual_seed(0)
    block = Block(4, dilation=3, dropout=0.5).eval()
    x = torch.randn(1, 4, 20, 30)
    y = x
    for pair, dilation in ((block.first[0], 1), (block.second[0], 3)):
        tall, _, wide, norm = pair.children()
        assert isinstance(tall, nn.Conv2d)
        assert isinstance(wide, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        y = functional.conv2d(y, tall.weight, tall.bias, padding=(dilation, 0), dilation=(dilation, 1)).relu()
        y = functional.conv2d(y, wide.weight, wide.bias, padding=(0, dilation), dilation=(1, dilation))
        y = norm(y) if dilation == 3 else norm(y).relu()
    torch.testing.assert_close(block(x), functional.relu(x + y))
