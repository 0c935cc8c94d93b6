"""Levels of Aperio's files: all pages in tiles, read as they are stored in every compression."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import openslide
import pytest
import tifffile
from conftest import tissue_rgb
from helpers.pyramids import mean

from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.readers.images import list_images
from wsi_seg.slides.slide import Slide

TILE = 128
RGB = tissue_rgb(301, 421)
YCBCR, RGB_2000 = 33003, 33005
"""Aperio's numbers for JPEG 2000."""


def write_svs(path: Path, levels: list[np.ndarray], compression: Any, thumbnail: bool) -> Path:
    """Write what Aperio's scanners write: level 0, a thumbnail in strips, then the other levels."""
    with tifffile.TiffWriter(path) as tiff:
        for index, rgb in enumerate(levels):
            height, width = rgb.shape[:2]
            words = f"Aperio Image Library v11.2.1 \r\n{width}x{height} ({TILE}x{TILE})|AppMag = 20|MPP = 0.5"
            options: dict[str, Any] = {"photometric": "rgb", "description": words, "metadata": None}
            if compression in (YCBCR, RGB_2000):
                tiff.write(
                    coded(rgb),
                    shape=rgb.shape,
                    dtype=np.uint8,
                    tile=(TILE, TILE),
                    compression=compression,
                    **options,
                )
            else:
                tiff.write(rgb, tile=(TILE, TILE), compression=compression, **options)
            if index == 0 and thumbnail:
                tiff.write(rgb[::4, ::4], rowsperstrip=16, photometric="rgb", metadata=None)
    return path


def coded(rgb: np.ndarray) -> Any:
    """Encode tiles as lossless JPEG 2000, without a colour transform."""
    padded = np.pad(rgb, ((0, -rgb.shape[0] % TILE), (0, -rgb.shape[1] % TILE), (0, 0)))
    for y in range(0, padded.shape[0], TILE):
        for x in range(0, padded.shape[1], TILE):
            tile = np.ascontiguousarray(padded[y : y + TILE, x : x + TILE])
            yield imagecodecs.jpeg2k_encode(tile, level=0, reversible=True, codecformat="j2k", mct=False)


@pytest.mark.parametrize("thumbnail", [True, False])
@pytest.mark.parametrize("compression", ["deflate", "lzw", RGB_2000])
def test_rounded_levels_are_read_as_they_are_stored(
    tmp_path: Path, compression: Any, thumbnail: bool
) -> None:
    levels = [RGB, mean(RGB, 2), mean(RGB, 4)]
    path = write_svs(tmp_path / "slide.svs", levels, compression, thumbnail)
    with openslide.OpenSlide(path) as theirs, Slide(path) as slide:
        assert theirs.level_count == 3
        assert [(level.width, level.height) for level in slide.levels] == list(theirs.level_dimensions)
        assert slide.mpp == (0.5, 0.5)
        assert not slide.shifts
        for index, rgb in enumerate(levels):
            rgba, unreadable = slide._reader.read(index, Rect(0, 0, *rgb.shape[:2]))
            np.testing.assert_array_equal(rgba[..., :3], rgb)
            assert unreadable == []


def test_aperios_ycbcr_has_the_colours_that_openslide_shows(tmp_path: Path) -> None:
    """Of even sides OpenSlide reads it, of odd ones tifffile: a tile that both hold is the same."""
    odd = write_svs(tmp_path / "odd.svs", [RGB, mean(RGB, 2)], YCBCR, thumbnail=True)
    even = write_svs(
        tmp_path / "even.svs", [RGB[:300, :420], mean(RGB[:300, :420], 2)], YCBCR, thumbnail=True
    )
    with Slide(odd) as ours, Slide(even) as theirs:
        assert ours.read_with.startswith("tifffile")
        assert theirs.read_with.startswith("OpenSlide")
        for index in (0, 1):
            part = Rect(0, 0, TILE, TILE)
            a, b = (slide._reader.read(index, part)[0].astype(int) for slide in (ours, theirs))
            assert np.abs(a - b).max() <= 1


def test_a_level_on_the_second_page_is_no_image_of_its_own(tmp_path: Path) -> None:
    path = write_svs(tmp_path / "slide.svs", [RGB, mean(RGB, 2)], "deflate", thumbnail=False)
    ((image, read),) = list_images(path)
    assert (read, image.levels) == (True, ((421, 301), (210, 150)))
