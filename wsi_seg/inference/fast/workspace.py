"""The maps of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.inference.fast.maps import Maps
from wsi_seg.models.espnet_config import LEVEL1, LEVEL2, LEVEL3, RGB

if TYPE_CHECKING:
    from typing import Self

    from wsi_seg.models.espnet_config import ESPNetConfig


@dataclass(frozen=True)
class Workspace:
    """All the maps of a network but those that ESP modules keep to themselves.

    Some are written by several layers, side by side.

    Attributes
    ----------
    image : Maps
        Normalised, at full size.
    half, level1, reinforced : Maps
        At 1/2: the averaged image; the first convolution's result; both together, normalised again.
    work2, level2 : Maps
        At 1/4: the input and output of ESP modules, and the level's result.
    work3, level3, head : Maps
        At 1/8: the same, and the encoder's result.
    joined2, merged2 : Maps
        At 1/4, in the decoder: the input of its ESP module, and the result.
    joined1, last : Maps
        At 1/2, in the decoder: the input of its last convolution, and the result.
    """

    image: Maps
    half: Maps
    level1: Maps
    reinforced: Maps
    work2: Maps
    level2: Maps
    work3: Maps
    level3: Maps
    head: Maps
    joined2: Maps
    merged2: Maps
    joined1: Maps
    last: Maps

    @classmethod
    def make(cls, config: ESPNetConfig) -> Self:
        """Make the maps; those that a variant lacks have no channels."""
        reach = 2 ** (config.branches - 1)

        def maps(channels: int, stride: int) -> Maps:
            return Maps.new(channels, stride, reach)

        image = RGB if config.variant in ("C", "full") else 0
        shared = 1 if config.variant == "A" else 2
        wide = config.width if config.variant == "full" else 0
        work2, work3 = maps(LEVEL2, 4), maps(LEVEL3, 8)
        reinforced_skips = config.decoder_skip == "reinforced"
        joined1 = maps(wide + LEVEL1 + (image if reinforced_skips else 0), 2)
        skip = joined1.part(wide, joined1.channels - wide)
        return cls(
            image=Maps.new(RGB, 1, reach, seen_throughout=True),
            half=maps(image, 2),
            level1=skip.part(0, LEVEL1),
            reinforced=skip if reinforced_skips or not image else maps(LEVEL1 + image, 2),
            work2=work2,
            level2=work2 if shared == 1 else maps(shared * LEVEL2 + image, 4),
            work3=work3,
            level3=work3 if shared == 1 else maps(shared * LEVEL3, 8),
            head=maps(wide or config.classes, 8),
            joined2=maps(2 * wide, 4),
            merged2=maps(wide, 4),
            joined1=joined1,
            last=maps(wide, 2),
        )
