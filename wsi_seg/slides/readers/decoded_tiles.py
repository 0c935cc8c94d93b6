"""Decoded tiles, kept in one cache for all slides that a process has open.

With a cache for each handle, memory grows with the number of handles: a training may have hundreds of slides
open, and a run opens its slide more than once. This is for what OpenSlide decodes; what is decoded here is in
`wsi_seg.slides.readers.piece_cache`.
"""

from __future__ import annotations

import threading
from weakref import WeakKeyDictionary

import openslide

CACHE_BYTES = 64 << 20
"""Of all slides together. Neighbouring reads of a few threads share the tiles at their borders."""

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
