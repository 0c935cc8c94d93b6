"""The blocks that an ESPNet can be made of, by name; `wsi_seg.models.blocks` makes them."""

from __future__ import annotations

from typing import Literal

Activation = Literal["prelu", "relu"]

BlockName = Literal["mobilenet", "shufflenet", "inception", "resnext", "resnet", "bottleneck", "dilated"]

BLOCK_TITLES: dict[BlockName, str] = {
    "mobilenet": "MobileNet",
    "shufflenet": "ShuffleNet",
    "inception": "Inception",
    "resnext": "ResNeXt",
    "resnet": "ResNet",
    "bottleneck": "ResNet bottleneck",
    "dilated": "dilated",
}

GROUPS = 4
"""Groups of a ShuffleNet unit's 1x1 convolutions; channels of each group of a ResNeXt block's 3x3 ones."""

MAX_WIDTH = 4096

EQUAL_WIDTHS: dict[str, int] = {
    "mobilenet": 133,
    "shufflenet": 328,
    "inception": 22,
    "resnext": 112,
    "resnet": 14,
    "bottleneck": 48,
    "dilated": 14,
}
"""The largest widths at level 3 with which ESPNet-C (20 classes, p = 2, q = 3) has no more parameters than
with its own ESP modules: the result of `wsi_seg.models.budget.fit_to_budget` for 187,529."""


def width_step(name: BlockName) -> int:
    """Return the number of which a block's width at level 3 is a multiple: level 2 has half the width."""
    return 2 * GROUPS if name in ("shufflenet", "resnext") else 1
