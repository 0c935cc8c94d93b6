from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import tifffile
from conftest import tissue_rgb
from helpers.tiff_pages import page_of

from wsi_seg.errors import SlideError
from wsi_seg.slides.readers.tiff_pages import STRIP_TAGS, TILE_TAGS, is_picture, read_pages

RGB = tissue_rgb(128, 128)


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_the_tags_of_each_page_are_those_that_were_written(
    tmp_path: Path, bigtiff: bool, byteorder: Literal["<", ">"]
) -> None:
    path = tmp_path / "a.tiff"
    with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder=byteorder) as tiff:
        tiff.write(RGB, rowsperstrip=16, photometric="rgb", metadata=None)
        tiff.write(RGB, tile=(64, 64), photometric="rgb", metadata=None)
    striped, tiled = read_pages(path)
    assert striped >= STRIP_TAGS
    assert not striped & TILE_TAGS
    assert tiled & TILE_TAGS
    with tifffile.TiffFile(path) as tiff:
        assert [set(page_of(tiff, i).tags.keys()) for i in range(len(tiff.pages))] == [striped, tiled]
    assert not is_picture(path)


def test_pages_that_follow_themselves_or_lie_beyond_the_end_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, RGB, photometric="rgb", metadata=None, byteorder="<")
    assert is_picture(path)
    content = path.read_bytes()
    first = int.from_bytes(content[4:8], "little")
    entries = int.from_bytes(content[first : first + 2], "little")
    successor = first + 2 + 12 * entries
    for next_page, says in ((first, "points to itself"), (len(content), "requires a buffer"), (3, "buffer")):
        path.write_bytes(content[:successor] + next_page.to_bytes(4, "little") + content[successor + 4 :])
        with pytest.raises(SlideError, match=rf"a\.tiff: damaged TIFF \(.*{says}.*\): copy or export"):
            read_pages(path)
    path.write_bytes(content[:4] + bytes(4) + content[8:])
    with pytest.raises(SlideError, match="it has no pages"):
        read_pages(path)
