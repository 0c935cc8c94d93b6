"""OME-Zarr images as slides: the same pixels whatever the store's make, and damage where it is."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from helpers.zarrs import ALL, CHUNK, HEIGHT, RGB, WIDTH, pixels_of, write_zarr
from numcodecs import Delta
from numpy.typing import NDArray

from wsi_seg.errors import SlideError
from wsi_seg.slides.frames import Frames
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.readers.reader_choice import open_reader
from wsi_seg.slides.slide import Slide

GREY = np.repeat(RGB[..., 1:2], 3, axis=2)


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["cyx", "yxc", "tczyx", "yx"])
def test_pixels_are_those_that_were_written(tmp_path: Path, axes: str, ngff: str) -> None:
    rgb = RGB[..., 1:2] if axes == "yx" else RGB
    path = write_zarr(tmp_path / "s.ome.zarr", rgb, axes=axes, ngff=ngff)
    np.testing.assert_array_equal(pixels_of(path), GREY if axes == "yx" else RGB)
    with Slide(path) as slide:
        assert (slide.format, slide.size, slide.mpp) == ("ome-zarr", (WIDTH, HEIGHT), (2.0, 2.0))


@pytest.mark.parametrize(
    "options",
    [
        {"shard": True},
        {"chunks": (3, 100, 70)},
        {"chunks": (2, 300, 1000)},
        {"compressors": None},
        {"compressors": zarr.codecs.GzipCodec()},
        {"compressors": zarr.codecs.BloscCodec()},
        {
            "ngff": "0.4",
            "compressors": {"id": "zlib", "level": 1},
            "filters": [Delta(dtype="u1")],
        },
        {"ngff": "0.4", "chunk_key_encoding": {"name": "v2", "separator": "/"}},
        {"order": "F", "ngff": "0.4"},
    ],
    ids=[
        *("sharded", "small chunks", "chunks of two channels", "no compression", "gzip", "blosc"),
        *("0.4, zlib after delta", "0.4, keys with points", "0.4, order F"),
    ],
)
def test_however_its_chunks_are_stored(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write_zarr(tmp_path / "s.zarr", **options)
    for rect in (ALL, Rect(5, 7, 130, 131), Rect(127, 255, 129, 257), Rect(250, 400, 300, 420)):
        np.testing.assert_array_equal(pixels_of(path, rect), RGB[rect.slices])


def test_threads_and_copies_read_the_same(tmp_path: Path) -> None:
    with Slide(write_zarr(tmp_path / "s.zarr", shard=True)) as slide:
        frames = slide.frames(2.0)
        rects = [Rect(y, x, y + 90, x + 120) for y in (0, 77, 200) for x in (0, 130, 290)] * 3
        with ThreadPoolExecutor(4) as pool, pickle.loads(pickle.dumps(slide)) as copy:
            for rect, read in zip(rects, pool.map(lambda r: copy.read(r, frames).rgb, rects), strict=True):
                np.testing.assert_array_equal(read, RGB[rect.slices])


def test_beyond_the_slide_there_is_nothing(tmp_path: Path) -> None:
    reader = open_reader(write_zarr(tmp_path / "s.zarr"))
    rgba, _ = reader.read(0, Rect(290, 410, 320, 450))
    np.testing.assert_array_equal(rgba[:10, :10, :3], RGB[290:, 410:])
    assert not rgba[10:].any()
    assert not rgba[:, 10:].any()


def damaged(path: Path, key: str) -> Path:
    file = path / "0" / key
    file.write_bytes(b"\x5a" * file.stat().st_size)
    return path


@pytest.mark.parametrize(
    ("make", "key", "lost"),
    [
        ({}, "c/1/1/2", Rect(128, 256, 256, 384)),
        ({"ngff": "0.4"}, "2.2.3", Rect(256, 384, HEIGHT, WIDTH)),
        ({"shard": True}, "c/0/0/0", Rect(0, 0, 256, 256)),
    ],
)
def test_damage_costs_the_chunk_it_is_in(tmp_path: Path, make: dict[str, Any], key: str, lost: Rect) -> None:
    reader = open_reader(damaged(write_zarr(tmp_path / "s.zarr", **make), key))
    for rect in (ALL, Rect(lost.y0 + 3, lost.x0 + 3, lost.y0 + 20, lost.x0 + 20)):
        rgba, unreadable = reader.read(0, rect)
        area = sum(bad.area for bad in unreadable)
        assert all(bad.intersection(lost) == bad for bad in unreadable)
        assert area == lost.area or rect != ALL
        assert not rgba[lost.intersection(rect).relative_to(rect).slices].any()
    rgba = reader.read(0, ALL)[0]
    rgba[lost.slices] = np.dstack([RGB, np.full((HEIGHT, WIDTH), 255, np.uint8)])[lost.slices]
    np.testing.assert_array_equal(rgba[..., :3], RGB)
    assert (rgba[..., 3] == 255).all()
    assert reader.read(0, Rect(0, 390, 100, 400))[1] == []


@pytest.mark.parametrize("fill", [0, 255])
def test_an_omitted_chunk_has_its_fill_value_and_black_is_not_recorded(tmp_path: Path, fill: int) -> None:
    rgb = RGB.copy()
    rgb[CHUNK : 2 * CHUNK, CHUNK : 2 * CHUNK] = fill
    path = write_zarr(tmp_path / "s.zarr", rgb, fill_value=fill)
    assert not (path / "0/c/0/1/1").exists()
    with Slide(path) as slide:
        read = slide.read(ALL, slide.frames(2.0))
    np.testing.assert_array_equal(read.rgb, rgb)
    assert read.present[CHUNK : 2 * CHUNK, CHUNK : 2 * CHUNK].all() == (fill == 255)
    assert read.present.sum() == ALL.area - (CHUNK**2 if fill == 0 else 0)


@pytest.mark.parametrize("options", [{}, {"ngff": "0.4"}, {"shard": True}, {"fill_value": 255}], ids=str)
def test_a_chunk_that_lacks_the_file_of_one_channel_is_damaged(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    rgb = RGB.copy()
    rgb[:CHUNK, :CHUNK, 0] = 0  # dark, but there
    path = write_zarr(tmp_path / "s.zarr", rgb, config={"write_empty_chunks": True}, **options)
    assert open_reader(path).read(0, ALL)[1] == []
    name = "0/1.0.0" if options.get("ngff") == "0.4" else "0/c/1/0/0"
    (path / name).unlink()
    rgba, unreadable = open_reader(path).read(0, ALL)
    side = 2 * CHUNK if options.get("shard") else CHUNK
    assert sum(tile.area for tile in unreadable) == side**2
    assert not rgba[:side, :side].any()
    assert rgba[side:, side:, 3].all()


def test_a_black_chunk_counts_the_same_whether_it_is_stored_or_omitted(tmp_path: Path) -> None:
    rgb = RGB.copy()
    rgb[:CHUNK, :CHUNK] = 0
    stored = write_zarr(tmp_path / "s.zarr", rgb, config={"write_empty_chunks": True})
    assert (stored / "0/c/0/0/0").exists()
    omitted = write_zarr(tmp_path / "o.zarr", rgb)
    for path in (stored, omitted):
        np.testing.assert_array_equal(open_reader(path).read(0, ALL)[0][..., 3] > 0, rgb.any(axis=2))


def test_levels_may_be_of_one_pixel(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "s.zarr", RGB[:2, :3], levels=3)
    with Slide(path) as slide:
        assert [(level.width, level.height) for level in slide.levels] == [(3, 2), (2, 1), (1, 1)]
        frames = Frames.at_mpp(slide.bounds, slide.mpp, 2.0)
        np.testing.assert_array_equal(slide.read(Rect(0, 0, 2, 3), frames).rgb, RGB[:2, :3])


def in_range(greatest: float | None) -> dict[str, Any]:
    """Return three channels, red, green and blue, that state a range from 0 on."""
    window = {} if greatest is None else {"window": {"min": 0, "max": greatest, "start": 3, "end": 77}}
    return {"channels": [{"label": name, "color": "FFFFFF", **window} for name in ("Red", "Green", "Blue")]}


WIDE = RGB.astype(np.uint16)


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
@pytest.mark.parametrize(
    ("samples", "greatest"), [(WIDE * 257, None), (WIDE * 257, 65535), (WIDE * 16, 4095), (WIDE, 255.0)]
)
def test_samples_of_16_bits_are_read_by_those_that_count(
    tmp_path: Path, samples: NDArray[np.uint16], greatest: float | None, ngff: str
) -> None:
    path = write_zarr(tmp_path / "s.zarr", samples, ngff=ngff, omero=in_range(greatest), levels=2)
    np.testing.assert_array_equal(pixels_of(path), RGB)
    np.testing.assert_array_equal(pixels_of(path, Rect(0, 0, 150, 210), 1), RGB[::2, ::2])


@pytest.mark.parametrize(
    ("samples", "omero", "said"),
    [
        (WIDE * 16, in_range(None), "holds 16 bits per sample, uses 12 of them, and does not state how many"),
        (WIDE * 16, in_range(65535), "uses 12 of them, and does not state how many count: state their range"),
        (WIDE * 16, in_range(4080), "uses 12 of them, and does not state how many count"),
        (WIDE * 16, in_range(16383), "states 14 significant bits in 16, but uses only 12"),
        (WIDE * 257, in_range(4095), "states 12 significant bits in 16, but holds the value 6"),
        (WIDE * 257, None, "holds 3 channels, and does not state that they are red, green and blue"),
    ],
)
def test_samples_of_16_bits_are_refused_where_it_is_not_clear_how_many_count(
    tmp_path: Path, samples: NDArray[np.uint16], omero: dict[str, Any] | None, said: str
) -> None:
    with pytest.raises(SlideError, match=said):
        open_reader(write_zarr(tmp_path / "s.zarr", samples, omero=omero))


def test_a_sample_outside_of_the_stated_range_damages_its_chunk(tmp_path: Path) -> None:
    samples = WIDE * 16
    path = write_zarr(tmp_path / "s.zarr", samples, omero=in_range(4095), levels=2)
    array = zarr.open_array(path / "0", mode="r+")
    array[0, 3, 5] = 4096
    reader = open_reader(path)
    rgba, unreadable = reader.read(0, ALL)
    reader.close()
    assert unreadable == [Rect(0, 0, CHUNK, CHUNK)]
    np.testing.assert_array_equal(rgba[:CHUNK, CHUNK:, :3], RGB[:CHUNK, CHUNK:])
