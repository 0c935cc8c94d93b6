from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from wsi_seg.models.bundle import load_bundle
from wsi_seg.models.lookup import resolve_model
from wsi_seg.models.negligible import clear
from wsi_seg.models.reach import RUNS, measure_reach

SIDE = 64


def averaging(side: int, stride: int = 1) -> nn.Conv2d:
    """Two classes, the second by the mean over a square."""
    layer = nn.Conv2d(3, 2, side, stride, padding=side // 2 if stride == 1 else 0)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[1] = 1
    return layer


@pytest.mark.parametrize("side", [1, 3, 9, 21])
def test_a_mean_over_a_square_reaches_half_its_side(side: int) -> None:
    reach = measure_reach(averaging(side), SIDE)
    assert reach.pixels == side // 2
    assert reach.flips == 0


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_a_cell_of_a_strided_map_needs_all_of_its_pixels(stride: int) -> None:
    assert measure_reach(averaging(stride, stride), SIDE).pixels == stride - 1


def test_what_lies_on_any_side_is_seen() -> None:
    for shift in ((12, 0), (-12, 0), (0, 12), (0, -12)):
        net = averaging(1)
        reach = measure_reach(lambda x, s=shift, n=net: n(torch.roll(x, s, (2, 3))), SIDE)  # type: ignore[misc]
        assert reach.pixels is None or reach.pixels >= 12


def test_a_mean_over_the_whole_image_is_unbounded() -> None:
    local = averaging(3)

    def whole(x: Tensor) -> Tensor:
        logits: Tensor = local(x)
        return logits * (1 + x.mean(dim=(1, 2, 3), keepdim=True)) + x.mean(dim=(2, 3), keepdim=True)[:, :2]

    reach = measure_reach(whole, SIDE)
    assert reach.pixels is None
    assert reach.halo(32) is None
    assert reach.flips > 0
    assert "more than 4" in str(reach)


def test_what_is_less_than_the_stated_share_does_not_count() -> None:
    net = averaging(21)
    with torch.no_grad():
        net.weight[1] *= 1e-7
        net.weight[1, :, 8:13, 8:13] = 1
    assert measure_reach(net, SIDE).pixels == 2
    assert measure_reach(net, SIDE, share=1e-8).pixels == 10


def test_what_all_classes_have_in_common_does_not_count() -> None:
    net = averaging(15)
    with torch.no_grad():
        net.weight[0] = net.weight[1]
        net.weight[1, :, 7, 7] += 5
    assert measure_reach(net, SIDE, share=1e-4).pixels == 0


def test_a_halo_is_rounded_up() -> None:
    reach = measure_reach(averaging(9), SIDE)
    assert [reach.halo(alignment) for alignment in (1, 4, 32)] == [4, 4, 32]


def test_logits_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        measure_reach(lambda x: x / 0, SIDE)


def test_the_built_in_model_gets_about_the_halo_that_slides_showed_to_be_enough() -> None:
    network = copy.deepcopy(load_bundle(resolve_model("breast-demo")).network)
    clear(network)
    reach = measure_reach(network, 384)
    assert reach.halo(32) in (96, 128)
    assert reach.flips < 0.01


def test_it_takes_a_stated_number_of_runs_of_half_a_square() -> None:
    net, seen = averaging(3), []

    def segment(image: Tensor) -> Tensor:
        seen.append(tuple(image.shape[2:]))
        logits: Tensor = net(image)
        return logits

    measure_reach(segment, 128)
    assert seen == [(64, 128)] * 4 + [(128, 64)] * 4
    assert len(seen) == RUNS
    seen.clear()
    assert measure_reach(segment, 64, square=True).pixels == 1
    assert seen == [(64, 64)] * RUNS
