"""One cache of decoded tiles for all open slides."""

from __future__ import annotations

import gc
from pathlib import Path

from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.readers import decoded_tiles
from wsi_seg.slides.readers.decode import LevelReader


def test_all_open_slides_share_one_cache_that_goes_with_the_last(slide_path: Path) -> None:
    gc.collect()
    before = len(decoded_tiles._caches)
    first, second = LevelReader(slide_path), LevelReader(slide_path)
    assert decoded_tiles._caches[first.handle] is decoded_tiles._caches[second.handle]
    assert (first.read(0, Rect(0, 0, 64, 64))[0] == second.read(0, Rect(0, 0, 64, 64))[0]).all()
    first.close()
    assert second.read(0, Rect(0, 0, 300, 300))[0].any()
    second.close()
    del first, second
    gc.collect()
    assert len(decoded_tiles._caches) == before
