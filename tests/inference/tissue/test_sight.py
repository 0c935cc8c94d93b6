"""By compiled kernels a network sees in a patch what it sees by PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from conftest import SCHEMA, tissue_rgb
from helpers.networks import trained_espnet

from wsi_seg.inference.fast.deepest import can_average
from wsi_seg.inference.tissue.sight import sight_by_kernels, sight_by_pytorch
from wsi_seg.models.architecture import architecture_of
from wsi_seg.models.biopsy_config import BiopsyConfig
from wsi_seg.models.bundle import ModelBundle
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.header import InputSpec, ModelHeader

SPEC = InputSpec(channels="bgr", mean=(180.0, 150.0, 190.0), std=(50.0, 55.0, 45.0))


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("variant", ["B", "C", "full"])
@pytest.mark.parametrize("depth", [1, 3])
def test_both_see_the_same(variant: Literal["B", "C", "full"], depth: int) -> None:
    network = trained_espnet(ESPNetConfig(len(SCHEMA), p=1, q=depth, variant=variant))
    header = ModelHeader(name="m", architecture=architecture_of(network.config), classes=SCHEMA, input=SPEC)
    bundle = ModelBundle.of(network, header, "", Path("m"))
    assert can_average(network.config)
    by_kernels, by_pytorch = sight_by_kernels(bundle), sight_by_pytorch(network, SPEC)

    for seed, side in enumerate((256, 96, 256)):
        rgb = tissue_rgb(side, 256, seed)
        (features, sure), (expected, expected_sure) = by_kernels(rgb), by_pytorch(rgb)
        np.testing.assert_allclose(features, expected, atol=1e-5 * np.abs(expected).max())
        assert sure == pytest.approx(expected_sure, abs=1e-5)


def test_other_deepest_maps_are_left_to_pytorch() -> None:
    assert not can_average(ESPNetConfig(3, variant="A"))
    assert not can_average(ESPNetConfig(3, decoder_width=256))
    assert not can_average(BiopsyConfig(3))
