"""Which image of a Zarr is the slide, and what is none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.zarrs import RGB, pixels_of, write_attributes, write_zarr

from wsi_seg.errors import SlideError, UsageError
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.readers.reader_choice import open_reader
from wsi_seg.slides.readers.zarr_reader import ZarrReader
from wsi_seg.slides.slide import Slide


@pytest.mark.parametrize("listed", [None, ["1", "0"]])
def test_the_largest_image_of_a_converted_file_is_read_or_the_one_named(
    tmp_path: Path, listed: list[str] | None
) -> None:
    root = tmp_path / "s.zarr"
    write_attributes(root, {"bioformats2raw.layout": 3}, "0.4")
    write_zarr(root / "0", ngff="0.4", axes="tczyx")
    write_zarr(root / "1", RGB[:50, :60], ngff="0.4", axes="tczyx")
    if listed is None:
        (root / "OME").mkdir()
    else:
        write_attributes(root / "OME", {"series": listed}, "0.4")
    np.testing.assert_array_equal(pixels_of(root), RGB)
    small = 1 if listed is None else 0
    with Slide(root, 2.0, None, small) as slide, Slide(root) as largest:
        assert f"image {small} of 2" in slide.read_with
        assert slide.fingerprint != largest.fingerprint
        read = slide.read(Rect(0, 0, 50, 60), slide.frames(2.0))
    np.testing.assert_array_equal(read.rgb, RGB[:50, :60])
    with pytest.raises(UsageError, match=r"s\.zarr: has no image 2: give --series 0 to 1"):
        ZarrReader(root, 2)


@pytest.mark.parametrize("inside", ["slide.ome.zarr", "slide.ome.zarr/labels/tissue"])
def test_results_of_our_own_are_refused_as_what_they_are(tmp_path: Path, inside: str) -> None:
    root = write_zarr(tmp_path / "slide.ome.zarr")
    write_attributes(root / "labels" / "tissue", {"multiscales": []})
    file = root / "labels" / "tissue" / "zarr.json"
    stated = json.loads(file.read_text())
    stated["attributes"]["wsi_seg"] = {}
    file.write_text(json.dumps(stated))
    with pytest.raises(SlideError, match="is a result of wsi-seg, not a slide: name the slide"):
        open_reader(tmp_path / inside)


def test_packed_zarrs_and_single_arrays_are_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "s.zarr.zip").write_bytes(b"PK")
    with pytest.raises(SlideError, match=r"s\.zarr\.zip: is a packed Zarr: unpack it"):
        open_reader(tmp_path / "s.zarr.zip")
    with pytest.raises(SlideError, match="is a Zarr array, not an OME-Zarr image: name the folder"):
        open_reader(write_zarr(tmp_path / "s.zarr") / "0")
