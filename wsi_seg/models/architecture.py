"""The networks there are: from a name and a shape, as a model file or a recipe has them, to a network.

Another network is another `...Architecture` here, and a line in each of the three unions and two matches.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from wsi_seg.models.biopsy import BiopsyConfig, BiopsyNet
from wsi_seg.models.espnet import ESPNet, ESPNetConfig

Network = ESPNet | BiopsyNet
NetworkConfig = ESPNetConfig | BiopsyConfig


class ESPNetArchitecture(BaseModel):
    """ESPNet, in any variant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["espnet"] = "espnet"
    config: ESPNetConfig


class BiopsyArchitecture(BaseModel):
    """The breast-biopsy network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["biopsy"] = "biopsy"
    config: BiopsyConfig


Architecture = Annotated[ESPNetArchitecture | BiopsyArchitecture, Field(discriminator="name")]
"""A network's kind and shape."""


def architecture_of(config: NetworkConfig) -> Architecture:
    """Name the kind of network that a shape belongs to."""
    match config:
        case ESPNetConfig():
            return ESPNetArchitecture(config=config)
        case BiopsyConfig():
            return BiopsyArchitecture(config=config)


def build_network(architecture: Architecture) -> Network:
    """Make the network with fresh weights."""
    match architecture:
        case ESPNetArchitecture(config=config):
            return ESPNet(config)
        case BiopsyArchitecture(config=config):
            return BiopsyNet(config)
