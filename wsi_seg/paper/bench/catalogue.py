"""The networks that `wsi-seg paper bench` knows by name: the paper's, and those that it is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wsi_seg.models.architecture import Architecture, architecture_of
from wsi_seg.models.biopsy_config import BiopsyConfig
from wsi_seg.models.block_names import BLOCK_TITLES, BlockName
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.paper.networks.enet import ENetConfig
from wsi_seg.paper.networks.erfnet import ERFNetConfig
from wsi_seg.paper.networks.pspnet import PSPNetConfig
from wsi_seg.paper.networks.segnet import SegNetConfig

if TYPE_CHECKING:
    from wsi_seg.models.network import NetworkConfig

STREETS = 20
"""Classes of the authors' Cityscapes networks: 19 and void."""

TISSUES = 8
"""Classes of the authors' breast-biopsy network."""

Group = Literal["ESPNet", "swap", "comparison", "model"]


@dataclass(frozen=True)
class Entry:
    """A network with a name.

    Attributes
    ----------
    name : str
        Its name on the command line.
    group : {"ESPNet", "swap", "comparison", "model"}
        ESPNet and its variants; ESPNet-C with other modules; other papers' networks; model files.
    title : str
        Its name in tables.
    architecture : Architecture
    """

    name: str
    group: Group
    title: str
    architecture: Architecture


SWAPPED = "ESPNet-C, "
"""Beginning of the titles of swaps."""


def _espnet(name: str, title: str, config: ESPNetConfig) -> Entry:
    return Entry(name, "ESPNet", title, architecture_of(config))


def _released(q: int) -> ESPNetConfig:
    """Return the shape of the authors' full networks for Cityscapes."""
    return ESPNetConfig(STREETS, p=2, q=q, decoder_width=STREETS, decoder_skip="level1")


def _variant(variant: Literal["A", "B", "C"]) -> Entry:
    config = ESPNetConfig(STREETS, p=2, q=3, variant=variant)
    return _espnet(f"espnet-{variant.lower()}", config.title, config)


def _swap(block: BlockName) -> Entry:
    """Put other blocks into ESPNet-C, with the same number of parameters (`EQUAL_WIDTHS`)."""
    config = ESPNetConfig(STREETS, p=2, q=3, variant="C", block=block)
    title = f"{SWAPPED}{BLOCK_TITLES[block]}"
    return Entry(f"espnet-c-{block}", "swap", title, architecture_of(config))


def _other(config: NetworkConfig, title: str) -> Entry:
    architecture = architecture_of(config)
    return Entry(architecture.name, "comparison", title, architecture)


REFERENCE = "espnet"
"""The reference for ratios: the network that the paper compares with PSPNet."""

CATALOGUE: tuple[Entry, ...] = (
    _espnet(REFERENCE, "ESPNet", _released(8)),
    _espnet("espnet-q3", "ESPNet, q = 3", _released(3)),
    _variant("A"),
    _variant("B"),
    _variant("C"),
    *(_swap(block) for block in BLOCK_TITLES),
    _other(ENetConfig(STREETS), "ENet"),
    _other(ERFNetConfig(STREETS), "ERFNet"),
    _other(SegNetConfig(STREETS), "SegNet"),
    _other(PSPNetConfig(STREETS), "PSPNet-101"),
    Entry("biopsy", "ESPNet", "breast biopsy", architecture_of(BiopsyConfig(TISSUES))),
)
"""ESPNet-A, -B and -C, also with other blocks, have p = 2 and q = 3."""

PAPER: tuple[str, ...] = tuple(entry.name for entry in CATALOGUE if entry.name != "biopsy")
"""The paper's comparison, which is measured unless networks are named."""
