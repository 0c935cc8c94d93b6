"""PSPNet: its size, and what the paper says of its parts."""

from __future__ import annotations

import pytest
import torch
from helpers.network_contract import NetworkContract, OnnxContract
from torch import nn
from torch.nn import functional

from wsi_seg.paper.networks.pspnet import Block, PSPNet, PSPNetConfig, Pyramid

SMALL = PSPNetConfig(3, blocks=(1, 2, 1, 2), width=4)


@pytest.mark.parametrize("config", [SMALL], ids=str)
class TestContract(NetworkContract): ...


@pytest.mark.parametrize("config", [PSPNetConfig(3, blocks=(1, 1, 1, 2), width=4)], ids=str)
class TestOnnx(OnnxContract): ...


def weights_by_hand(classes: int, blocks: tuple[int, ...]) -> int:
    """Count the weights of the stem, the residual network, the pyramid, and the last two layers."""

    def conv(inputs: int, outputs: int, kernel: int) -> int:
        return inputs * outputs * kernel**2 + 2 * outputs

    total, inputs = conv(3, 64, 3) + conv(64, 64, 3) + conv(64, 128, 3), 128
    for thin, count in zip((64, 128, 256, 512), blocks, strict=True):
        total += conv(inputs, 4 * thin, 1)
        for _ in range(count):
            total += conv(inputs, thin, 1) + conv(thin, thin, 3) + conv(thin, 4 * thin, 1)
            inputs = 4 * thin
    return total + 4 * conv(2048, 512, 1) + conv(4096, 512, 3) + 512 * classes + classes


@pytest.mark.parametrize(
    ("classes", "blocks", "count"),
    [(19, (3, 4, 23, 3), 65_707_475), (20, (3, 4, 23, 3), 65_707_988), (21, (3, 4, 6, 3), 46_716_373)],
)
def test_parameter_count_is_the_published_one(
    classes: int, blocks: tuple[int, int, int, int], count: int
) -> None:
    with torch.device("meta"):
        network = PSPNet(PSPNetConfig(classes, blocks))
    assert sum(p.numel() for p in network.parameters()) == count == weights_by_hand(classes, blocks)


def test_the_auxiliary_output_is_not_among_the_published_parameters() -> None:
    without = weights_by_hand(20, (3, 4, 23, 3))
    auxiliary = 1024 * 256 * 9 + 2 * 256 + 256 * 20 + 20
    assert round(without / 1e6, 1) == 65.7
    assert round((without + auxiliary) / 1e6, 1) == 68.1


@pytest.mark.parametrize(
    "wrong", [{"classes": 1}, {"blocks": (3, 0, 3, 3)}, {"blocks": (3, 4)}, {"width": 0}], ids=str
)
def test_a_config_that_makes_no_network_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PSPNetConfig(**({"classes": 8} | wrong))  # type: ignore[arg-type]


def test_titles_count_the_layers() -> None:
    assert PSPNetConfig(2).title == "PSPNet-101"
    assert PSPNetConfig(2, (3, 4, 6, 3)).title == "PSPNet-50"


def middle_of(block: Block) -> nn.Conv2d:
    """The convolution in the middle of its three."""
    middle = block.get_submodule("layers.1.0.0")
    assert isinstance(middle, nn.Conv2d)
    return middle


def test_it_is_dilated_from_the_third_stage_on() -> None:
    network = PSPNet(SMALL)
    middles = [[middle_of(b) for b in stage.children() if isinstance(b, Block)] for stage in network.stages]
    assert [{m.dilation for m in stage} for stage in middles] == [{(1, 1)}, {(1, 1)}, {(2, 2)}, {(4, 4)}]
    assert network.stages(network.stem(torch.randn(2, 3, 64, 96))).shape == (2, 128, 8, 12)


@torch.inference_mode()
def test_the_pyramid_averages_over_the_whole_map() -> None:
    torch.manual_seed(0)
    pyramid = Pyramid(8).eval()
    x = torch.randn(1, 8, 12, 18)
    maps = [x]
    for cells, branch in zip((1, 2, 3, 6), pyramid.branches, strict=True):
        pooled = functional.avg_pool2d(x, (12 // cells, 18 // cells))
        maps.append(functional.interpolate(branch(pooled), (12, 18), mode="bilinear"))
    torch.testing.assert_close(pyramid(x), torch.cat(maps, dim=1))


def test_no_convolution_but_the_last_has_a_bias() -> None:
    *rest, last = [m for m in PSPNet(SMALL).modules() if isinstance(m, nn.Conv2d)]
    assert last.bias is not None
    assert all(m.bias is None for m in rest)
