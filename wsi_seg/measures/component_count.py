"""The number of components of each class: connected components, counted across the borders of tiles.

Pixels are connected by their edges (4 neighbours), as in polygons: two pixels that only touch at a corner are
two components, and two polygons. What is known of earlier tiles is one row of pixels above the next tiles and
one column to their left, so memory does not grow with the number of components.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from wsi_seg.results.polygons.components import find_components

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.slides.lattice import Rect

NONE = -1


class Components:
    """Counts the components in a rectangle from its tiles, which come row by row.

    Parameters
    ----------
    rect : Rect
        In label pixels.
    classes : int
        The number of classes; the other kinds of pixels have no components.
    """

    def __init__(self, rect: Rect, classes: int) -> None:
        self._rect = rect
        self._classes = classes
        self.count: NDArray[np.int64] = np.zeros(classes, dtype=np.int64)
        # The component of each pixel just above the next tile's row, and just left of the next tile.
        self._above: NDArray[np.int32] = np.full(rect.width, NONE, dtype=np.int32)
        self._left: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._kind: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def add(self, rect: Rect, kinds: NDArray[np.uint16]) -> None:
        """Count the next tile.

        Parameters
        ----------
        rect : Rect
            Right of the tile before, or at the left edge, below the tiles before.
        kinds : uint16 array, shape (rect.height, rect.width)
        """
        if rect.x0 == self._rect.x0:
            self._left = np.full(rect.height, NONE, dtype=np.int32)
        known = len(self._kind)
        found = find_components(kinds)
        of_pixel = found.paint(np.arange(known, known + len(found), dtype=np.int32))
        kind = np.concatenate([self._kind, found.value.astype(np.int64)])
        columns = slice(rect.x0 - self._rect.x0, rect.x1 - self._rect.x0)
        one = np.concatenate([self._above[columns], self._left])
        other = np.concatenate([of_pixel[0], of_pixel[:, 0]])
        joined = one != NONE
        joined[joined] = kind[one[joined]] == kind[other[joined]]
        edges = (np.ones(np.count_nonzero(joined), dtype=bool), (one[joined], other[joined]))
        number, component = connected_components(coo_array(edges, shape=(len(kind),) * 2), directed=False)
        whole = np.zeros(number, dtype=np.int64)
        whole[component] = kind
        self.count += self._of_classes(whole) - self._of_classes(self._kind)

        self._above[columns] = of_pixel[-1]
        self._left = of_pixel[:, -1].copy()
        self._keep(component, whole)

    def _of_classes(self, kind: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(kind, minlength=self._classes)[: self._classes]

    def _keep(self, component: NDArray[np.int32], kind: NDArray[np.int64]) -> None:
        """Keep the components that later tiles may continue, numbered from 0."""
        edge = np.concatenate([self._above, self._left])
        edge[edge != NONE] = component[edge[edge != NONE]]
        edge[edge != NONE] = np.where(kind[edge[edge != NONE]] < self._classes, edge[edge != NONE], NONE)
        live, number = np.unique(edge[edge != NONE], return_inverse=True)
        edge[edge != NONE] = number
        self._above, self._left = np.split(edge, [len(self._above)])
        self._kind = kind[live]
