"""Chunks of Blosc that were cut are damaged, wherever they lie, and never decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from helpers.zarrs import CHUNK, RGB, write_zarr

from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.readers.zarr_blosc import refuse_cut
from wsi_seg.slides.readers.zarr_reader import ZarrReader

ALL = Rect(0, 0, *RGB.shape[:2])


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"ngff": "0.4", "compressors": numcodecs.Blosc("lz4")}, "0.1.1"),
        ({"ngff": "0.4", "compressors": None, "filters": [numcodecs.Blosc("lz4")]}, "0.1.1"),
        ({"compressors": zarr.codecs.BloscCodec(cname="lz4")}, "c/0/1/1"),
    ],
    ids=["compressor", "filter", "Zarr 3"],
)
def test_a_blosc_chunk_that_was_cut_is_damaged(tmp_path: Path, options: dict[str, Any], key: str) -> None:
    path = write_zarr(tmp_path / "s.zarr", **options)
    chunk = path / "0" / key
    chunk.write_bytes(chunk.read_bytes()[:-1])
    rgba, unreadable = ZarrReader(path).read(0, ALL)
    lost = Rect(CHUNK, CHUNK, 2 * CHUNK, 2 * CHUNK)
    assert unreadable == [lost]
    assert not rgba[lost.slices].any()
    rgba[lost.slices][..., :3] = RGB[lost.slices]
    np.testing.assert_array_equal(rgba[..., :3], RGB)


def test_a_blosc_chunk_in_a_shard_is_held_to_its_length(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "s.zarr", shard=True, compressors=zarr.codecs.BloscCodec(cname="lz4"))
    np.testing.assert_array_equal(ZarrReader(path).read(0, ALL)[0][..., :3], RGB)
    shard = path / "0/c/0/0/0"
    first = bytearray(shard.read_bytes())
    stated = int.from_bytes(first[12:16], "little")
    first[12:16] = (stated + 1).to_bytes(4, "little")
    shard.write_bytes(first)
    rgba, unreadable = ZarrReader(path).read(0, ALL)
    assert unreadable == [Rect(0, 0, CHUNK, CHUNK)]
    np.testing.assert_array_equal(rgba[CHUNK:, :, :3], RGB[CHUNK:])


@pytest.mark.parametrize("left", [0, 5, 15, 16, 40])
def test_what_is_left_of_a_cut_chunk_is_refused_before_it_is_decoded(left: int) -> None:
    chunk = numcodecs.Blosc("zstd").encode(np.arange(1000, dtype=np.uint8))
    refuse_cut(chunk)
    with pytest.raises(ValueError, match=f"a Blosc chunk of {left} bytes is shorter than it states"):
        refuse_cut(chunk[:left])
