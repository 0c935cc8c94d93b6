"""JPEG tiles of TIFFs: the pixels that OpenSlide shows, whatever the tiles are like."""

from __future__ import annotations

import contextlib
import gc
import tracemalloc
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import openslide
import pytest
import tifffile
from conftest import damage_tile
from helpers.tiff_pages import page_of

from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.readers.decode import LevelReader
from wsi_seg.slides.readers.piece_cache import PIECES

SIDE, TILE = 300, 128
RECTS = [
    Rect(0, 0, SIDE, SIDE),
    Rect(0, 0, 128, 128),
    Rect(100, 90, 290, 131),
    Rect(257, 1, 258, 2),
    Rect(-5, -7, 20, 9),
    Rect(250, 250, 320, 310),
    Rect(400, 400, 410, 420),
]


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Smooth colours with edges, so that each way of storing them shows."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    rgb = np.stack([200 * x, 120 + 100 * np.sin(9 * y), 255 * (1 - x * y)], axis=2)
    rgb[(np.hypot(x - 0.4, y - 0.6) < 0.2)] = (170, 30, 90)
    return rgb.astype(np.uint8)


def write(
    path: Path, picture: np.ndarray, stored: str = "ycbcr", stated: str = "", chroma: str = "420"
) -> Path:
    """Write JPEG tiles in one colour space, in a TIFF that states it or another."""
    tiles: list[Any] = [  # which tifffile takes as they are
        imagecodecs.jpeg8_encode(
            np.pad(part, ((0, TILE - part.shape[0]), (0, TILE - part.shape[1]), (0, 0)), mode="edge"),
            level=85,
            colorspace="RGB",
            outcolorspace=stored,
            subsampling=chroma,
        )
        for row in range(0, SIDE, TILE)
        for column in range(0, SIDE, TILE)
        for part in [picture[row : row + TILE, column : column + TILE]]
    ]
    tifffile.imwrite(
        path,
        iter(tiles),
        shape=picture.shape,
        dtype=picture.dtype,
        tile=(TILE, TILE),
        photometric=stated or stored,
        compression="jpeg",
        subsampling=(2, 2) if chroma == "420" else (1, 1),
    )
    return path


def by_openslide(path: Path, rect: Rect) -> np.ndarray:
    with openslide.OpenSlide(path) as slide:
        return np.asarray(slide.read_region((rect.x0, rect.y0), 0, (rect.width, rect.height)))


def left_to_openslide(reader: LevelReader, rect: Rect) -> list[Rect]:
    """Return the tiles under a rectangle of level 0 that are not decoded here."""
    assert reader._tiles is not None
    decoded = reader._tiles.read(0, rect)
    assert decoded is not None
    return decoded[1]


@pytest.mark.parametrize(
    ("stored", "stated", "chroma"),
    [
        ("ycbcr", "ycbcr", "420"),
        ("ycbcr", "ycbcr", "422"),
        ("ycbcr", "ycbcr", "444"),
        ("rgb", "rgb", "444"),
        # The JPEGs' own segments state the other colours: for OpenSlide, and so here, the TIFF decides.
        ("ycbcr", "rgb", "444"),
        ("rgb", "ycbcr", "444"),
    ],
)
def test_the_pixels_are_those_of_openslide(
    tmp_path: Path, picture: np.ndarray, stored: str, stated: str, chroma: str
) -> None:
    path = write(tmp_path / "slide.tiff", picture, stored, stated, chroma)
    reader = LevelReader(path)
    assert reader._tiles is not None
    for rect in RECTS:
        decoded = reader._tiles.read(0, rect)
        assert decoded is not None
        np.testing.assert_array_equal(decoded[0], by_openslide(path, rect))
        assert decoded[1] == []
    reader.close()


@pytest.mark.parametrize("name", ["breast_A03.tiff", "CMU-1-Small-Region.svs"])
def test_the_pixels_of_real_slides_are_those_of_openslide(shared_data: Path, name: str) -> None:
    """One of tables for all tiles and colours transformed, one of colours as they are and odd tiles."""
    path = shared_data / "slides" / name
    reader = LevelReader(path)
    assert reader._tiles is not None
    for index, level in enumerate(reader.levels):
        side = min(1000, level.width, level.height)
        x0, y0 = level.width - side, (level.height - side) // 2
        decoded = reader._tiles.read(index, Rect(y0, x0, y0 + side, x0 + side))
        assert decoded is not None
        if not level.exact:  # OpenSlide blends these, whose pixels do not start on whole slide pixels
            continue
        with openslide.OpenSlide(path) as slide:
            corner = (round(x0 * level.scale_x), round(y0 * level.scale_y))
            expected = np.asarray(slide.read_region(corner, index, (side, side)))
        np.testing.assert_array_equal(decoded[0], expected)
    reader.close()


def test_a_damaged_tile_is_left_to_openslide_which_reports_it(tmp_path: Path, picture: np.ndarray) -> None:
    path = damage_tile(write(tmp_path / "slide.tiff", picture), 4)
    reader = LevelReader(path)
    assert left_to_openslide(reader, Rect(0, 0, SIDE, SIDE)) == [Rect(128, 128, 256, 256)]
    rgba, unreadable = reader.read(0, Rect(0, 0, SIDE, SIDE))
    assert unreadable == [Rect(128, 128, 256, 256)]
    assert not rgba[128:256, 128:256].any()
    np.testing.assert_array_equal(rgba[:, :128], by_openslide(path, Rect(0, 0, SIDE, 128)))
    reader.close()


def test_a_cut_scan_is_damage_though_a_lenient_decoder_fills_it_up(
    tmp_path: Path, picture: np.ndarray
) -> None:
    path = write(tmp_path / "slide.tiff", picture)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        place, size = page.dataoffsets[4], page.databytecounts[4]
    whole = path.read_bytes()
    content = bytearray(whole)
    content[place + size // 2 : place + size] = bytes(size - size // 2)
    assert imagecodecs.jpeg8_decode(bytes(content[place : place + size])).shape == (TILE, TILE, 3)
    path.write_bytes(content)
    reader = LevelReader(path)
    assert left_to_openslide(reader, Rect(128, 128, 256, 256)) == [Rect(128, 128, 256, 256)]
    reader.close()


def test_what_is_no_plain_jpeg_tile_is_left_to_openslide(tmp_path: Path, picture: np.ndarray) -> None:
    path = tmp_path / "slide.tiff"
    tifffile.imwrite(path, picture, tile=(TILE, TILE), photometric="rgb", compression="deflate")
    reader = LevelReader(path)
    assert reader._tiles is not None
    assert reader._tiles.read(0, RECTS[0]) is None
    np.testing.assert_array_equal(reader.read(0, RECTS[0])[0][..., :3], picture)
    reader.close()


def test_an_absent_tile_is_left_to_openslide(tmp_path: Path, picture: np.ndarray) -> None:
    path = write(tmp_path / "slide.tiff", picture)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        sizes = list(tiff.pages[0].databytecounts)
        sizes[4] = 0
        page_of(tiff, 0).tags["TileByteCounts"].overwrite(sizes)
    reader = LevelReader(path)
    assert left_to_openslide(reader, Rect(0, 0, 200, 200)) == [Rect(128, 128, 256, 256)]
    assert left_to_openslide(reader, Rect(0, 0, 128, 128)) == []
    reader.close()


def test_a_damaged_size_costs_no_memory(tmp_path: Path, picture: np.ndarray) -> None:
    path = write(tmp_path / "slide.tiff", picture)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        sizes = list(tiff.pages[0].databytecounts)
        sizes[4] = 2**32 - 1
        page_of(tiff, 0).tags["TileByteCounts"].overwrite(sizes)
    reader = LevelReader(path)
    tracemalloc.start()
    assert left_to_openslide(reader, Rect(128, 128, 256, 256)) == [Rect(128, 128, 256, 256)]
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()
    reader.close()


def test_the_cache_forgets_a_closed_slide(tmp_path: Path, picture: np.ndarray) -> None:
    path = write(tmp_path / "slide.tiff", picture)
    held = len(PIECES)
    readers = [LevelReader(path), LevelReader(path)]
    for reader in readers:
        reader.read(0, RECTS[0])
    assert len(PIECES) == held + 18
    readers[0].close()
    assert len(PIECES) == held + 9
    del readers[1], reader
    gc.collect()
    assert len(PIECES) == held


@pytest.mark.parametrize("aperio", [True, False])
def test_a_level_of_rounded_sides_comes_as_it_is_stored(
    tmp_path: Path, picture: np.ndarray, aperio: bool
) -> None:
    """OpenSlide would shift it by part of a pixel, and blend neighbours."""
    path = tmp_path / "slide.tiff"
    coarse = picture[: (SIDE - 1) // 2, : (SIDE - 1) // 2]
    words = "Aperio Image Library v11.2.1 \r\n299x299 (128x128) JPEG|MPP = 0.5" if aperio else None
    options: dict[str, Any] = {"tile": (TILE, TILE), "photometric": "ycbcr", "compression": "jpeg"}
    with tifffile.TiffWriter(path) as tiff:
        for index, rgb in enumerate((picture[:-1, :-1], coarse)):
            tiff.write(rgb, subfiletype=index, description=words, metadata=None, **options)
    with tifffile.TiffFile(path) as tiff:
        stored = page_of(tiff, 1).asarray()
    assert openslide.OpenSlide(path).level_downsamples[1] != 2
    reader = LevelReader(path)
    assert reader.format == ("aperio" if aperio else "generic-tiff")
    rgba, unreadable = reader.read(1, Rect(0, 0, *coarse.shape[:2]))
    np.testing.assert_allclose(rgba[..., :3].astype(int), stored, atol=2)  # another decoder's rounding
    assert unreadable == []
    for rect in (Rect(5, 9, 141, 147), Rect(130, 130, 149, 149)):
        np.testing.assert_array_equal(reader.read(1, rect)[0], rgba[rect.slices])
    reader.close()


def test_a_damaged_tile_does_not_change_the_others(tmp_path: Path, picture: np.ndarray) -> None:
    """In a level of rounded sides OpenSlide's pixels are others than the stored ones."""
    path = tmp_path / "slide.tiff"
    options: dict[str, Any] = {"tile": (TILE, TILE), "photometric": "ycbcr", "compression": "jpeg"}
    with tifffile.TiffWriter(path) as tiff:
        for index, rgb in enumerate((picture[:-1, :-1], picture[:149, :149])):
            tiff.write(rgb, subfiletype=index, metadata=None, **options)
    rect = Rect(0, 0, 149, 149)
    with contextlib.closing(LevelReader(path)) as reader:
        sound = reader.read(1, rect)[0]
    with tifffile.TiffFile(path) as tiff:
        place, size = page_of(tiff, 1).dataoffsets[3], page_of(tiff, 1).databytecounts[3]
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"\x5a" * size)
    with contextlib.closing(LevelReader(path)) as reader:
        rgba, unreadable = reader.read(1, rect)
    bad = Rect(TILE, TILE, 149, 149)
    assert unreadable == [bad]
    assert not rgba[bad.slices].any()
    sound[bad.slices] = 0
    np.testing.assert_array_equal(rgba, sound)
