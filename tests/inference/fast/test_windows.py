from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import tissue_rgb
from helpers.networks import fast_espnet, trained_espnet
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.inference.fast.fast_espnet import FastESPNet
from wsi_seg.inference.fast.windows import CELL, Spans, Windows, grown, in_cells
from wsi_seg.inference.network.pixels import Normalisation
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.header import InputSpec

SPEC = InputSpec(channels="bgr", mean=(180.0, 150.0, 190.0), std=(50.0, 55.0, 45.0))
HEIGHT, WIDTH = 640, 264  # no multiple of a cell, and higher than what the maps hold at a time


@pytest.fixture(scope="module")
def network() -> ESPNet:
    return trained_espnet(ESPNetConfig(classes=5))


@pytest.fixture
def some_cells() -> np.ndarray:
    """Two blobs, one at the image's edge."""
    cells = np.zeros((-(-HEIGHT // CELL), -(-WIDTH // CELL)), dtype=np.bool_)
    cells[3:9, 2:7] = cells[5, 9] = cells[30:, 12:] = True
    return cells


def at_pixels(cells: np.ndarray, stride: int = 1) -> np.ndarray:
    side = CELL // stride
    return cells.repeat(side, 0).repeat(side, 1)[: HEIGHT // stride, : WIDTH // stride]


@pytest.mark.parametrize("reach", [0, 1, 2, 3, 7])
def test_growing_takes_in_all_within_reach(reach: int, some_cells: np.ndarray) -> None:
    square = np.ones((2 * reach + 1, 2 * reach + 1), dtype=np.bool_)
    np.testing.assert_array_equal(grown(some_cells, reach), ndimage.binary_dilation(some_cells, square))


def test_a_cell_with_one_pixel_counts() -> None:
    pixels = np.zeros((50, 40), dtype=np.bool_)
    pixels[17, 31] = pixels[49, 39] = True
    expected = np.zeros((4, 3), dtype=np.bool_)
    expected[1, 1] = expected[3, 2] = True
    np.testing.assert_array_equal(in_cells(pixels), expected)


def test_spans_end_with_the_image(some_cells: np.ndarray) -> None:
    spans = Spans.of(some_cells, 2, WIDTH // 2)
    painted = np.zeros((len(some_cells), WIDTH // 2), dtype=np.bool_)
    for row, (start, stop) in enumerate(zip(spans.first[:-1], spans.first[1:], strict=True)):
        for x0, x1 in spans.ends[start:stop]:
            painted[row, x0:x1] = True
    np.testing.assert_array_equal(painted, some_cells.repeat(8, 1)[:, : WIDTH // 2])


def test_what_is_wanted_has_no_effect_on_classes(
    network: ESPNet, some_cells: np.ndarray, by_amx: bool
) -> None:
    rgb, inside = tissue_rgb(HEIGHT, WIDTH), at_pixels(some_cells)
    expected = fast_espnet(network, SPEC, by_amx).best(rgb)
    fast = fast_espnet(network, SPEC, by_amx)
    fast.best(tissue_rgb(HEIGHT, WIDTH, 1))  # so that its maps are full of another image
    found = fast.best(rgb, windows=Windows(some_cells, np.ones_like(some_cells)))
    np.testing.assert_array_equal(found[inside], expected[inside])
    assert not found[~inside].any()
    assert expected[~inside].any()


@pytest.mark.usefixtures("kernels")
def test_what_is_not_seen_is_zero_in_all_maps(
    network: ESPNet, some_cells: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same by PyTorch: what layers read is zero outside, but for the image."""
    rgb, seen = tissue_rgb(HEIGHT, WIDTH), grown(some_cells, 2)

    def masked(maps: Tensor) -> Tensor:
        stride = HEIGHT // maps.shape[-2]
        return maps if stride == 1 else maps * torch.from_numpy(at_pixels(seen, stride))

    average = functional.avg_pool2d
    monkeypatch.setattr(functional, "avg_pool2d", lambda maps, *a, **k: average(masked(maps), *a, **k))
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    hooks = [m.register_forward_pre_hook(lambda _, given: (masked(given[0]),)) for m in layers]
    normalised = Normalisation(SPEC, torch.device("cpu"))(torch.from_numpy(rgb).permute(2, 0, 1)[None])
    with torch.inference_mode():
        expected = network(normalised.contiguous())[0].numpy()
    for hook in hooks:
        hook.remove()
    fast, inside = fast_espnet(network, SPEC), at_pixels(some_cells)
    fast.best(tissue_rgb(HEIGHT, WIDTH, 1))
    found = fast.logits(rgb, windows=Windows(some_cells, seen))
    np.testing.assert_allclose(found[:, inside], expected[:, inside], atol=1e-5 * np.abs(expected).max())
    everything = fast.logits(rgb)
    assert np.abs(found - everything)[:, inside].max() > 1e-3 * np.abs(expected).max()


def bytes_held(fast: FastESPNet) -> int:
    assert fast._flow is not None
    return sum(sheet.rows.nbytes for sheet in fast._flow._held.values())


@pytest.mark.usefixtures("kernels")
def test_high_images_stream_through_maps_of_few_rows(network: ESPNet) -> None:
    fast, rgb = fast_espnet(network, SPEC), tissue_rgb(2048, 64)
    few = fast.best(rgb)
    held = bytes_held(fast)
    normalised = Normalisation(SPEC, torch.device("cpu"))(torch.from_numpy(rgb).permute(2, 0, 1)[None])
    with torch.inference_mode():
        expected = network(normalised.contiguous())[0].numpy()
    np.testing.assert_allclose(fast.logits(rgb), expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_array_equal(fast_espnet(network, SPEC).best(rgb, threads=8), few)
    fast.best(tissue_rgb(4096, 64))
    assert bytes_held(fast) == held
