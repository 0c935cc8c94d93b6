"""What `claim.py` trains: networks under equal limits, whole networks, and the paper's ablations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from wsi_seg.models.block_names import BLOCK_TITLES
from wsi_seg.models.cost import PAPER_SIZE, count_macs, count_parameters
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig

DataName = Literal["streets", "tissue", "generated"]

CLASSES: dict[DataName, int] = {"streets": 11, "tissue": 3, "generated": 8}
"""The classes of each set; on `tissue` two kinds of carcinoma, and all other tissue."""


@dataclass(frozen=True)
class Network:
    """A network of the plan.

    Attributes
    ----------
    table : {"blocks", "whole", "ablations"}
        Where it is shown.
    title : str
        Its name there.
    settings : tuple of (str, object)
        Of the part `model` of a recipe.
    """

    table: Literal["blocks", "whole", "ablations"]
    title: str
    settings: tuple[tuple[str, object], ...]

    @property
    def stage(self) -> str:
        """What is trained: ESPNet-A, -B and -C end at 1/8 of the image's sides."""
        return "encoder" if "variant" in dict(self.settings) else "full"


ENCODER = (("name", "espnet"), ("p", 2), ("q", 3), ("variant", "C"))
"""ESPNet-C, into which other blocks are put."""


def networks(classes: int) -> Iterator[Network]:
    """Yield all networks for a number of classes, those with most to tell first."""
    yield from blocks(classes)
    yield from whole()
    yield from ablations()


def blocks(classes: int) -> Iterator[Network]:
    """Yield ESPNet-C with its own modules, then with each other block under each limit."""
    yield Network("blocks", "ESP", ENCODER)
    with torch.device("meta"):
        esp = ESPNet(ESPNetConfig(classes, p=2, q=3, variant="C"))
    limits = {"max_parameters": count_parameters(esp), "max_macs": count_macs(esp, *PAPER_SIZE)}
    for limit, most in limits.items():
        for block, title in BLOCK_TITLES.items():
            yield Network("blocks", f"{title}, {limit}", (*ENCODER, ("block", block), (limit, most)))


def whole() -> Iterator[Network]:
    """Yield whole networks; PSPNet-101 is left out, which takes a GPU."""
    for q in (3, 8):
        yield Network("whole", f"ESPNet, q = {q}", (("name", "espnet"), ("p", 2), ("q", q)))
    for name, title in (
        ("enet", "ENet"),
        ("erfnet", "ERFNet"),
        ("segnet", "SegNet"),
        ("biopsy", "breast biopsy"),
    ):
        yield Network("whole", title, (("name", name),))


def ablations() -> Iterator[Network]:
    """Yield ESPNets that lack one thing; C and the full network with q = 3 stand in the other tables."""
    plain = ENCODER[:-1]
    for variant in "AB":
        yield Network("ablations", f"ESPNet-{variant}", (*plain, ("variant", variant)))
    changes: tuple[tuple[str, tuple[str, object]], ...] = (
        ("plain strided convolutions", ("down", "conv")),
        ("without HFF", ("hff", False)),
        ("without residual", ("residual", False)),
        ("ReLU", ("activation", "relu")),
        ("K = 3", ("branches", 3)),
        ("K = 7", ("branches", 7)),
    )
    for title, change in changes:
        yield Network("ablations", f"ESPNet-C, {title}", (*ENCODER, change))
