"""Shards that are read and written here are those of zarr."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.codecs import ZstdCodec

from wsi_seg.results.labels.shards import form_of, read_pixels, write_shard
from wsi_seg.results.labels.storage import array_to_read, array_to_write
from wsi_seg.slides.lattice import Rect

HEIGHT, WIDTH, FILL = 210, 150, 255


def made(path: Path, shard: int = 96, chunk: int = 32) -> Path:
    zarr.create_array(
        path,
        shape=(HEIGHT, WIDTH),
        dtype="u1",
        chunks=(chunk, chunk),
        shards=(shard, shard),
        compressors=ZstdCodec(level=1, checksum=True),
        fill_value=FILL,
    )
    return path


def some_labels() -> np.ndarray:
    labels = np.random.default_rng(3).integers(0, 3, (HEIGHT, WIDTH)).astype(np.uint8)
    labels[40:70, 20:] = labels[96:192, 96:] = FILL  # a chunk, and a shard, of the fill value
    return labels


def shards(side: int) -> list[Rect]:
    return [
        Rect(y, x, y + side, x + side).clipped(WIDTH, HEIGHT)
        for y in range(0, HEIGHT, side)
        for x in range(0, WIDTH, side)
    ]


def files(path: Path) -> dict[str, bytes]:
    return {
        file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()
    }


@pytest.mark.parametrize(("shard", "chunk"), [(32, 32), (64, 32), (96, 32), (160, 32), (256, 32)])
def test_files_are_those_that_zarr_writes(tmp_path: Path, shard: int, chunk: int) -> None:
    labels = some_labels()
    written: dict[str, dict[str, str]] = {"ours": {}, "zarr's": {}}
    ours, theirs = (array_to_write(made(tmp_path / who, shard, chunk), written[who]) for who in written)
    assert form_of(ours) == (shard, chunk, 1, FILL)
    for rect in shards(shard):
        write_shard(ours, rect, np.ones_like(labels[rect.slices]))
        write_shard(ours, rect, labels[rect.slices])
        theirs[rect.slices] = labels[rect.slices]

    assert files(tmp_path / "ours") == files(tmp_path / "zarr's")
    there = {name: digest for name, digest in written["ours"].items() if name in files(tmp_path / "ours")}
    assert there == written["zarr's"]


def test_any_rectangle_is_read_as_by_zarr(tmp_path: Path) -> None:
    labels = some_labels()
    path = made(tmp_path / "labels")
    array_to_write(path)[:] = labels
    array, rng = array_to_read(path), np.random.default_rng(5)
    for _ in range(40):
        y, x = int(rng.integers(0, HEIGHT)), int(rng.integers(0, WIDTH))
        rect = Rect(y, x, int(rng.integers(y, HEIGHT)) + 1, int(rng.integers(x, WIDTH)) + 1)
        np.testing.assert_array_equal(read_pixels(array, rect), labels[rect.slices])


@pytest.mark.parametrize("place", [0, 300, -4, -30])
def test_a_changed_byte_is_found(tmp_path: Path, place: int) -> None:
    path = made(tmp_path / "labels")
    array_to_write(path)[:] = some_labels()
    shard = path / "c/0/0"
    content = bytearray(shard.read_bytes())
    content[place] ^= 1
    shard.write_bytes(content)
    with pytest.raises((ValueError, RuntimeError)):
        read_pixels(array_to_read(path), shards(96)[0])
    shard.write_bytes(content[:100])
    with pytest.raises(ValueError, match="index of a shard"):
        read_pixels(array_to_read(path), shards(96)[0])


def test_a_file_that_must_be_there_is_not_taken_for_absent(tmp_path: Path) -> None:
    path = made(tmp_path / "labels")
    array_to_write(path)[:] = some_labels()
    (path / "c/0/0").unlink()
    assert (read_pixels(array_to_read(path), shards(96)[0]) == FILL).all()
    with pytest.raises(FileNotFoundError, match="c/0/0 is missing"):
        read_pixels(array_to_read(path, ["c/0/0"]), shards(96)[0])


def test_arrays_of_another_form_are_left_to_zarr(tmp_path: Path) -> None:
    labels = some_labels()
    plain = zarr.create_array(tmp_path / "plain", shape=labels.shape, dtype="u1", chunks=(64, 64))
    plain[:] = labels
    array = array_to_read(tmp_path / "plain")
    assert form_of(array) is None
    np.testing.assert_array_equal(read_pixels(array, Rect(3, 5, 200, 150)), labels[3:200, 5:150])
