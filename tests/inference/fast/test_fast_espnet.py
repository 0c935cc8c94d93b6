from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import tissue_rgb
from helpers.networks import fast_espnet, layer, trained_espnet
from torch import nn

from wsi_seg.inference.fast.fast_espnet import can_rearrange
from wsi_seg.inference.network.pixels import Normalisation
from wsi_seg.models.biopsy_config import BiopsyConfig
from wsi_seg.models.classes import load_schema
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.header import InputSpec
from wsi_seg.models.upstream import import_checkpoint

SPEC = InputSpec(channels="bgr", mean=(180.0, 150.0, 190.0), std=(50.0, 55.0, 45.0))
CONFIGS = {
    "A": ESPNetConfig(classes=5, variant="A"),
    "B": ESPNetConfig(classes=5, variant="B"),
    "C": ESPNetConfig(classes=5, variant="C"),
    "full": ESPNetConfig(classes=5),
    "level1": ESPNetConfig(classes=5, decoder_skip="level1"),
    "one branch": ESPNetConfig(classes=2, branches=1, p=1, q=1),
    "many": ESPNetConfig(classes=40, branches=7, p=1, q=1),
}


pytestmark = pytest.mark.usefixtures("kernels")


def plainly(network: ESPNet, rgb: np.ndarray, spec: InputSpec = SPEC) -> np.ndarray:
    normalise = Normalisation(spec, torch.device("cpu"))
    with torch.inference_mode():
        logits: torch.Tensor = network(normalise(torch.from_numpy(rgb).permute(2, 0, 1)[None]).contiguous())
        return logits[0].numpy()


@pytest.mark.parametrize("name", CONFIGS)
def test_it_computes_what_the_network_computes(name: str, by_amx: bool) -> None:
    network, rgb = trained_espnet(CONFIGS[name]), tissue_rgb(96, 136)
    expected = plainly(network, rgb)
    found = fast_espnet(network, SPEC, by_amx).logits(rgb)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=(1e-4 if by_amx else 1e-5) * np.abs(expected).max())


def test_every_setting_has_a_say(by_amx: bool) -> None:
    rgb = tissue_rgb(32, 32)
    network = trained_espnet(ESPNetConfig(classes=2, p=1, q=1, branches=2))
    before = fast_espnet(network, SPEC, by_amx).logits(rgb)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor[0] += 0.5
            assert (fast_espnet(network, SPEC, by_amx).logits(rgb) != before).any(), name
            tensor[0] -= 0.5


@pytest.mark.parametrize("margin", [0, 16, 13])
def test_the_best_class_within_a_margin(margin: int, by_amx: bool) -> None:
    network, rgb = trained_espnet(CONFIGS["full"]), tissue_rgb(128, 160)
    fast = fast_espnet(network, SPEC, by_amx)
    expected = fast.logits(rgb).argmax(0)[margin : 128 - margin, margin : 160 - margin]
    np.testing.assert_array_equal(fast.best(rgb, margin), expected)


@pytest.mark.parametrize("threads", [2, 5])
def test_the_same_bytes_for_any_threads_and_after_other_images(threads: int, by_amx: bool) -> None:
    network, rgb = trained_espnet(CONFIGS["full"]), tissue_rgb(72, 104)
    expected = fast_espnet(network, SPEC, by_amx).logits(rgb)
    fast = fast_espnet(network, SPEC, by_amx)
    fast.best(tissue_rgb(72, 104, 1), 8, threads)
    np.testing.assert_array_equal(fast.logits(rgb, threads), expected)
    fast.logits(tissue_rgb(64, 64, 2), threads)
    np.testing.assert_array_equal(fast.logits(rgb, threads), expected)


def test_weights_that_have_decayed_to_nothing_change_nothing() -> None:
    network, rgb = trained_espnet(CONFIGS["full"]), tissue_rgb(64, 64)
    layer(network, "encoder.level2.0.branches.1", nn.Conv2d).weight.data[:6] *= 1e-40
    expected = plainly(network, rgb)
    found = fast_espnet(network, SPEC).logits(rgb)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_networks_of_other_shapes_are_left_alone() -> None:
    assert can_rearrange(CONFIGS["full"])
    assert not can_rearrange(BiopsyConfig(classes=2))
    assert not can_rearrange(ESPNetConfig(classes=2, variant="C", branches=8))


def test_the_authors_network_on_a_street(shared_data: Path, by_amx: bool) -> None:
    network, header = import_checkpoint(
        shared_data / "espnet/decoder/espnet_p_2_q_3.pth", load_schema("cityscapes")
    )
    rgb = tissue_rgb(256, 512)
    expected = plainly(network.eval(), rgb, header.input)
    found = fast_espnet(network, header.input, by_amx).logits(rgb)
    assert np.abs(found - expected).max() < (3e-4 if by_amx else 1e-4) * np.abs(expected).max()
    assert (found.argmax(0) == expected.argmax(0)).mean() >= 0.9999
