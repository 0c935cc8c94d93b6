"""The networks there are: from a name and a shape, as a model file or a recipe has them, to a network.

Another network is another `...Architecture` here, and a line in each of the three unions and two matches.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from wsi_seg.models.biopsy import BiopsyConfig, BiopsyNet
from wsi_seg.models.espnet import ESPNet, ESPNetConfig
from wsi_seg.paper.networks.enet import ENet, ENetConfig
from wsi_seg.paper.networks.erfnet import ERFNet, ERFNetConfig
from wsi_seg.paper.networks.pspnet import PSPNet, PSPNetConfig
from wsi_seg.paper.networks.segnet import SegNet, SegNetConfig

Network = ESPNet | BiopsyNet | ENet | ERFNet | SegNet | PSPNet
NetworkConfig = ESPNetConfig | BiopsyConfig | ENetConfig | ERFNetConfig | SegNetConfig | PSPNetConfig


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


class ENetArchitecture(BaseModel):
    """ENet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["enet"] = "enet"
    config: ENetConfig


class ERFNetArchitecture(BaseModel):
    """ERFNet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["erfnet"] = "erfnet"
    config: ERFNetConfig


class SegNetArchitecture(BaseModel):
    """SegNet, of any width."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["segnet"] = "segnet"
    config: SegNetConfig


class PSPNetArchitecture(BaseModel):
    """PSPNet, of any depth and width."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["pspnet"] = "pspnet"
    config: PSPNetConfig


Architecture = Annotated[
    ESPNetArchitecture
    | BiopsyArchitecture
    | ENetArchitecture
    | ERFNetArchitecture
    | SegNetArchitecture
    | PSPNetArchitecture,
    Field(discriminator="name"),
]
"""A network's kind and shape."""


def architecture_of(config: NetworkConfig) -> Architecture:
    """Name the kind of network that a shape belongs to."""
    match config:
        case ESPNetConfig():
            return ESPNetArchitecture(config=config)
        case BiopsyConfig():
            return BiopsyArchitecture(config=config)
        case ENetConfig():
            return ENetArchitecture(config=config)
        case ERFNetConfig():
            return ERFNetArchitecture(config=config)
        case SegNetConfig():
            return SegNetArchitecture(config=config)
        case PSPNetConfig():
            return PSPNetArchitecture(config=config)


def build_network(architecture: Architecture) -> Network:
    """Make the network with fresh weights."""
    match architecture:
        case ESPNetArchitecture(config=config):
            return ESPNet(config)
        case BiopsyArchitecture(config=config):
            return BiopsyNet(config)
        case ENetArchitecture(config=config):
            return ENet(config)
        case ERFNetArchitecture(config=config):
            return ERFNet(config)
        case SegNetArchitecture(config=config):
            return SegNet(config)
        case PSPNetArchitecture(config=config):
            return PSPNet(config)
