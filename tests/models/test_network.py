"""A network of another package whose sides are multiples of as much as is allowed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from helpers.network_contract import NetworkContract
from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.models import registry
from wsi_seg.models.network import Network, NetworkConfig
from wsi_seg.models.registry import LARGEST_MULTIPLE, register_network


@dataclass(frozen=True)
class CoarseConfig(NetworkConfig):
    @property
    def multiple(self) -> int:
        return LARGEST_MULTIPLE


class Coarse(Network):
    """Decides by what an image shows as a whole, and by each pixel."""

    config_type = CoarseConfig

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.fine, self.coarse = nn.Conv2d(3, config.classes, 1), nn.Conv2d(3, config.classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        self.check_sides(image)
        coarse = self.coarse(functional.avg_pool2d(image, LARGEST_MULTIPLE))
        fine: Tensor = self.fine(image)
        return fine + functional.interpolate(coarse, scale_factor=float(LARGEST_MULTIPLE))


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_found", {})
    register_network("coarse", Coarse)


class TestContract(NetworkContract):
    @pytest.fixture
    def config(self) -> NetworkConfig:
        return CoarseConfig(3)
