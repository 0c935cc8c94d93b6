"""How the classes of a result look: as areas, as outlines or by confidence, and which of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.errors import UsageError
from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.models.classes import ClassSchema

VEIL = (255, 255, 255, 140)
"""Outside of what was asked for: white, with the slide below."""

STRIPE_GREY = (110, 110, 110, 255)
UNSURE = (255, 120, 0)
"""The lower the confidence, the denser it is: the colour that the label pyramid states."""


class Drawn(StrEnum):
    """What is drawn of a class."""

    AREAS = "areas"
    OUTLINES = "outlines"
    CONFIDENCE = "confidence"


@dataclass(frozen=True)
class Look:
    """A look, as browsers ask for it.

    Attributes
    ----------
    drawn : Drawn
    hidden : frozenset of int
        Ids of the classes that are not drawn.
    """

    drawn: Drawn = Drawn.AREAS
    hidden: frozenset[int] = frozenset()

    @classmethod
    def of(cls, drawn: str, hidden: str) -> Look:
        """Read a look from an address: ``areas`` and ``0,3``.

        Raises
        ------
        UsageError
            If it is none.
        """
        try:
            ids = frozenset(int(number) for number in hidden.split(",") if number)
            if ids and not 0 <= min(ids) <= max(ids) < OUTSIDE_ID:
                raise ValueError
            return cls(Drawn(drawn), ids)
        except ValueError as error:
            raise UsageError("no such look of classes: reload the page") from error


@lru_cache(maxsize=64)
def inks(schema: ClassSchema, look: Look) -> NDArray[np.uint8]:
    """Return the colour and opacity of each value of a tile, shape (256, 4).

    Of areas and outlines the values are label values; of confidence they are confidences, but 255, which is
    nothing to see, stands for pixels that were not processed.
    """
    colors = np.zeros((256, 4), dtype=np.uint8)
    if look.drawn is Drawn.CONFIDENCE:
        colors[:, :3] = UNSURE
        colors[1:, 3] = np.arange(254, -1, -1)
        colors[0] = 0
    else:
        for tissue_class in schema.classes:
            if tissue_class.id not in look.hidden:
                colors[tissue_class.id] = (*tissue_class.color, 255)
        colors[OUTSIDE_ID] = VEIL if look.drawn is Drawn.AREAS else 0
    colors[UNPROCESSED_ID] = STRIPE_GREY
    return colors
