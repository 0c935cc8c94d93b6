"""What networks see: their deepest maps, pooled, and their widest ones."""

from __future__ import annotations

import pytest
import torch
from helpers.networks import layer
from torch import nn

from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.features import WidestMaps, pooled_features
from wsi_seg.models.network import Network, NetworkConfig


def test_of_an_espnet_they_are_the_third_level_of_the_encoder() -> None:
    torch.manual_seed(0)
    network, image = ESPNet(ESPNetConfig(classes=3, p=1, q=1)).eval(), torch.randn(2, 3, 64, 64)
    kept: list[torch.Tensor] = []
    norm = layer(network, "encoder.level3_merge.0", nn.BatchNorm2d)
    hook = norm.register_forward_hook(lambda _, __, found: kept.append(found))
    features, logits = pooled_features(network, image)
    hook.remove()
    assert features.shape == (2, 256)
    assert torch.equal(features, kept[0].mean(dim=(2, 3)))
    assert logits.shape == (2, 3, 64, 64)
    assert not any(module._forward_hooks for module in network.modules())


class Plain(Network):
    """A network without a normalisation."""

    def __init__(self) -> None:
        super().__init__(NetworkConfig(classes=2))
        self.layer = nn.Conv2d(3, 2, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layer(image)
        return logits


def test_a_network_without_normalisation_gives_its_logits() -> None:
    features, logits = pooled_features(Plain(), torch.randn(1, 3, 8, 8))
    assert features[0].tolist() == pytest.approx(logits.mean(dim=(2, 3))[0].tolist())


def test_the_widest_maps_of_an_espnet_are_what_its_encoder_ends_with() -> None:
    torch.manual_seed(0)
    network, image = ESPNet(ESPNetConfig(classes=3, p=1, q=1)).eval(), torch.randn(1, 3, 64, 64)
    kept: list[torch.Tensor] = []
    hook = network.encoder.level3_merge.register_forward_hook(lambda _, __, found: kept.append(found))
    widest = WidestMaps(network)
    network(image)
    hook.remove()
    maps = widest.take()
    assert maps is not None
    assert torch.equal(maps, kept[0])
    assert widest.take() is None
