"""The tensors of a published ESPNet, beside those that the network itself has."""

from __future__ import annotations

from itertools import product
from typing import Any, Literal, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from wsi_seg.models.biopsy_config import BiopsyConfig
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig, Variant
from wsi_seg.models.espnet_tensors import fits, is_published, shapes_of

SKIPS: tuple[Literal["level1", "reinforced"], ...] = ("level1", "reinforced")
SHAPES = [
    ESPNetConfig(classes, p=p, q=q, branches=branches, variant=variant, decoder_skip=skip)
    for classes, p, q, branches, variant, skip in product(
        (2, 40), (1, 3), (2,), (1, 5, 7), get_args(Variant), SKIPS
    )
] + [ESPNetConfig(20, decoder_width=20), ESPNetConfig(3, p=1, q=1, branches=2, decoder_width=300)]

SMALL = ESPNetConfig(2, p=1, q=1, branches=2, decoder_width=4)


def arrays_of(config: ESPNetConfig) -> dict[str, NDArray[Any]]:
    return {name: tensor.numpy().copy() for name, tensor in ESPNet(config).state_dict().items()}


@pytest.mark.parametrize("config", SHAPES, ids=lambda config: config.shape)
def test_they_are_those_of_the_network(config: ESPNetConfig) -> None:
    arrays = arrays_of(config)

    assert shapes_of(config) == {name: array.shape for name, array in arrays.items()}
    assert fits(arrays, config)


def test_what_does_not_fit_is_seen() -> None:
    for name in arrays_of(SMALL):
        for change in (None, np.float64, "cut", np.nan, -1.0):
            arrays = arrays_of(SMALL)
            if change is None:
                del arrays[name]
            elif change == "cut":
                arrays[name] = arrays[name][None]
            elif isinstance(change, float):
                if name.endswith("num_batches_tracked") or (change < 0 and not name.endswith("running_var")):
                    continue
                arrays[name].flat[-1] = change
            else:
                arrays[name] = arrays[name].astype(change)
            assert not fits(arrays, SMALL), (name, change)
    assert not fits(arrays_of(SMALL) | {"more": np.zeros(1, np.float32)}, SMALL)


def test_ablations_and_other_networks_are_not_published_espnets() -> None:
    assert is_published(SMALL)
    assert not is_published(ESPNetConfig(2, hff=False))
    assert not is_published(ESPNetConfig(2, block="resnet"))
    assert not is_published(BiopsyConfig(2))
