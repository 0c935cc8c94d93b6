"""Other networks' blocks: their weights as their papers count them, what they see, and their equations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.networks import backward
from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.models.block_names import BLOCK_TITLES, BlockName
from wsi_seg.models.blocks import BlockShape, Shuffle, build_block

M = 16


def block(name: BlockName, width: int, inputs: int = M, stride: int = 1) -> nn.Module:
    return build_block(name, BlockShape(inputs, M, stride, width, "relu"))


def weights(module: nn.Module) -> int:
    """Weights of the convolutions alone."""
    return sum(m.weight.numel() for m in module.modules() if isinstance(m, nn.Conv2d))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet", 9 * M * 8 + 9 * 8 * M),
        ("dilated", 9 * M * 8 + 9 * 8 * M),
        ("bottleneck", M * 8 + 9 * 8 * 8 + 8 * M),
        ("resnext", M * 8 + 9 * 8 * 4 + 8 * M),  # two groups of 4 channels
        ("shufflenet", M * 8 // 4 + 9 * 8 + 8 * M // 4),
        ("mobilenet", 9 * M + M * 8 + 9 * 8 + 8 * M),
        ("inception", M * 4 + M * 8 + 9 * 8 * 4 + M * 8 + 25 * 8 * 4 + M * 4),
    ],
)
def test_weights(name: BlockName, expected: int) -> None:
    assert weights(block(name, 8)) == expected


@pytest.mark.parametrize("name", BLOCK_TITLES)
@pytest.mark.parametrize(("inputs", "stride"), [(M, 1), (M, 2), (19, 2), (2 * M, 1)])
def test_shapes(name: BlockName, inputs: int, stride: int) -> None:
    made = block(name, 8, inputs, stride).eval()
    assert made(torch.randn(1, inputs, 12, 20)).shape == (1, M, 12 // stride, 20 // stride)


@pytest.mark.parametrize(
    ("name", "reach"),
    [
        ("resnet", 2),
        ("dilated", 8),
        ("bottleneck", 1),
        ("resnext", 1),
        ("shufflenet", 1),
        ("mobilenet", 2),
        ("inception", 2),
    ],
)
def test_what_a_pixel_sees(name: BlockName, reach: int) -> None:
    torch.manual_seed(0)
    made = block(name, 8).eval()
    x = torch.rand(32, M, 25, 25, requires_grad=True)  # so many that no unit is off in all of them
    made(x)[:, :, 12, 12].sum().backward()
    assert x.grad is not None
    rows = torch.nonzero(x.grad.abs().sum(dim=(0, 1, 3)))
    assert (int(rows.min()), int(rows.max())) == (12 - reach, 12 + reach)


@pytest.mark.parametrize("name", ["resnet", "dilated", "bottleneck", "resnext", "shufflenet"])
def test_residual_blocks_add_their_input(name: BlockName) -> None:
    made = block(name, 8).eval()
    assert isinstance(made.body, nn.Sequential)
    last = made.body[-1]
    assert isinstance(last, nn.BatchNorm2d)
    nn.init.zeros_(last.weight)
    x = torch.randn(1, M, 8, 8)
    torch.testing.assert_close(made(x), functional.relu(x))


def test_shuffling_deals_the_groups_out() -> None:
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert Shuffle(2)(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert Shuffle(1)(x).flatten().tolist() == [0, 1, 2, 3, 4, 5]


def test_after_the_shuffle_every_channel_sees_every_input() -> None:
    made = block("shufflenet", 16).eval()

    body: Any = made.body

    def seen(x: Tensor) -> Tensor:
        total: Tensor = body(x)[0, 0].sum()
        return total

    x = torch.randn(1, M, 6, 6, requires_grad=True)
    backward(seen(x))
    assert x.grad is not None
    assert (x.grad.abs().sum(dim=(0, 2, 3)) > 0).all()
