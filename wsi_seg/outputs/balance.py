"""How much area simplifying has given to each class or taken from it, so that it never comes to much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.outputs.join import Pieces

LARGEST_SHARE = 0.009
"""Of a class's area. Promised is 0.01; the rounding of the written coordinates needs some."""

CLASSES = 256


class AreaBalance:
    """Keeps account of each class's area over the tiles done so far.

    A class that is large somewhere may be simplified more elsewhere; one that is all small specks has to stay
    nearly exact. With every tile taken in within bounds, the whole is, whatever tiles are still to come.
    """

    def __init__(self) -> None:
        self._exact = np.zeros(CLASSES)
        self._gained = np.zeros(CLASSES)

    def takes(self, pieces: Pieces) -> bool:
        """Enter a tile's simplified polygons, unless a class would stray too far from its area by them.

        Exact polygons are always taken.
        """
        pixels = _by_class(pieces, pieces.area)
        gained = self._gained + _by_class(pieces, shapely.area(pieces.polygons)) - pixels
        exact = self._exact + pixels
        # Areas are sums of coordinates' products: far from whole numbers they are not.
        tolerated = np.maximum(LARGEST_SHARE * exact, np.abs(self._gained) + 1e-6 * exact)
        if (np.abs(gained) > tolerated).any():
            return False
        self._exact, self._gained = exact, gained
        return True


def _by_class(pieces: Pieces, area: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.float64]:
    return np.bincount(pieces.class_id, area.astype(np.float64), CLASSES).astype(np.float64, copy=False)
