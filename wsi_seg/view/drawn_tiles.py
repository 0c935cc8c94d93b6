"""Tiles that were drawn, kept for the next who asks, up to a limit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

LIMIT = 64 << 20
"""Bytes of encoded tiles that are kept, of all slides together."""


class TileCache:
    """Encoded pictures by key; what was not asked for longest goes first. Safe to use from many threads."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._held = 0
        self._tiles: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """Bytes that are kept now."""
        return self._held

    def get(self, key: Hashable, draw: Callable[[], bytes]) -> bytes:
        """Return what is kept under a key, or draw it."""
        with self._lock:
            if key in self._tiles:
                self._tiles.move_to_end(key)
                return self._tiles[key]
        tile = draw()
        with self._lock:
            if key not in self._tiles:
                self._tiles[key] = tile
                self._held += len(tile)
            while self._held > self._limit and len(self._tiles) > 1:
                self._held -= len(self._tiles.popitem(last=False)[1])
        return tile
