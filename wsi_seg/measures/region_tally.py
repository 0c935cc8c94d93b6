"""What is counted of one region, tile by tile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.measures.borders import count_crossings
from wsi_seg.measures.component_count import Components

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.measures.pixel_kinds import Kinds
    from wsi_seg.measures.region_file import Region
    from wsi_seg.measures.tile import Tile


class Tally:
    """Counts of the pixels of one region; each tile that meets the region is added once, row by row.

    Parameters
    ----------
    region : Region
    kinds : Kinds
    bands : int
        The number of bands around a class's border.

    Attributes
    ----------
    pixels : int64 array, shape (kinds,)
        Pixels of each kind.
    crossings : int64 array, shape (3, kinds, kinds)
        As `count_crossings` counts them.
    near : int64 array, shape (kinds, bands)
        Pixels of each kind in each band.
    """

    def __init__(self, region: Region, kinds: Kinds, bands: int) -> None:
        self.region = region
        self._kinds = kinds
        count = len(kinds)
        self.pixels: NDArray[np.int64] = np.zeros(count, dtype=np.int64)
        self.crossings: NDArray[np.int64] = np.zeros((3, count, count), dtype=np.int64)
        self.near: NDArray[np.int64] = np.zeros((count, bands), dtype=np.int64)
        self._components = Components(region.rect, kinds.classes)

    @property
    def components(self) -> NDArray[np.int64]:
        """Components of each class, shape (classes,)."""
        return self._components.count

    def add(self, tile: Tile, band: NDArray[np.int8] | None) -> None:
        """Count what the region covers of a tile.

        Parameters
        ----------
        tile : Tile
        band : int8 array, shape (tile.rect.height, tile.rect.width), or None
            The index of each pixel's band; -1 for none.
        """
        # The pixels beside the region have its outline on their other side.
        beside = self.region.rect.padded(1).intersection(tile.rect)
        if not beside.area:
            return
        part = tile.part(beside)
        inside = self.region.inside(beside.padded(1))
        if inside is not None:
            part = part.masked(inside, self._kinds)
        count = len(self._kinds)
        self.crossings += count_crossings(part, count)
        rect = self.region.rect.intersection(tile.rect)
        if not rect.area:
            return
        own = part.inner[rect.relative_to(beside).slices]
        self.pixels += np.bincount(own.reshape(-1), minlength=count)
        self._components.add(rect, own)
        if band is not None and self.near.size:
            near = band[rect.relative_to(tile.rect).slices]
            found = near >= 0
            bands = self.near.shape[1]
            pairs = own[found].astype(np.int64) * bands + near[found]
            self.near += np.bincount(pairs, minlength=count * bands).reshape(count, bands)
