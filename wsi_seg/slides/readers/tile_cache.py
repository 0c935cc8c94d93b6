"""Decoded tiles, kept in one cache for all slides that a process has open.

With a cache for each handle, memory grows with the number of handles: a training may have hundreds of slides
open, and a run opens its slide more than once. OpenSlide has a cache of its own for what it decodes, and
`TileCache` is for what is decoded here.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import openslide

if TYPE_CHECKING:
    from collections.abc import Hashable

    import numpy as np
    from numpy.typing import NDArray

CACHE_BYTES = 64 << 20
"""Of all slides together. Neighbouring reads of a few threads share the tiles at their borders."""

DECODED_BYTES = 32 << 20
"""Of those in `TileCache`: a row of tiles for each of a few threads."""

_sharing = threading.Lock()
_caches: WeakKeyDictionary[openslide.OpenSlide, openslide.OpenSlideCache] = WeakKeyDictionary()
"""The one cache, by each handle that uses it: it goes with the last of these."""


def share_tiles(handle: openslide.OpenSlide) -> None:
    """Have a slide keep its decoded tiles in the cache that all open slides share.

    Parameters
    ----------
    handle : OpenSlide
        Just opened.
    """
    with _sharing:
        cache = next(iter(_caches.values()), None)
        if cache is None:
            cache = openslide.OpenSlideCache(CACHE_BYTES)
        handle.set_cache(cache)
        _caches[handle] = cache


class TileCache:
    """The tiles that were used last, `DECODED_BYTES` at most. May be used from several threads."""

    def __init__(self) -> None:
        self._tiles: OrderedDict[Hashable, NDArray[np.uint8]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._tiles)

    def get(self, key: Hashable) -> NDArray[np.uint8] | None:
        """Return a tile that must not be written to, or None."""
        with self._lock:
            tile = self._tiles.get(key)
            if tile is not None:
                self._tiles.move_to_end(key)
            return tile

    def put(self, key: Hashable, tile: NDArray[np.uint8]) -> None:
        """Keep a tile; those that were not used for longest go."""
        with self._lock:
            if key in self._tiles:
                return
            self._tiles[key] = tile
            self._bytes += tile.nbytes
            while self._bytes > DECODED_BYTES:
                self._bytes -= self._tiles.popitem(last=False)[1].nbytes

    def drop(self, owner: Hashable) -> None:
        """Forget the tiles whose keys are tuples that begin with `owner`."""
        with self._lock:
            for key in [k for k in self._tiles if isinstance(k, tuple) and k[0] == owner]:
                self._bytes -= self._tiles.pop(key).nbytes
