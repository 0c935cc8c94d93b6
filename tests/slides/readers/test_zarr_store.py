"""Zarrs that hold no image that can be read are refused by name, before a codec runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from helpers.zarrs import RGB, attributes, restated, write_attributes, write_zarr

from wsi_seg.errors import SlideError
from wsi_seg.slides.readers.reader_choice import open_reader
from wsi_seg.slides.slide import Slide


def stack(path: Path) -> None:
    deep = np.repeat(RGB[None, None].transpose(0, 4, 1, 2, 3), 2, axis=2)
    zarr.create_array(path / "0", data=deep, overwrite=True)


def other_type(kind: str) -> Callable[[Path], object]:
    return lambda path: zarr.create_array(path / "0", shape=(3, 64, 64), dtype=kind, overwrite=True)


def change_array(path: Path, **values: object) -> None:
    file = path / "0" / "zarr.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def change_image(path: Path, **values: object) -> None:
    restated(path, lambda content: content["multiscales"][0].update(values))


FLUORESCENCE = {"channels": [{"label": name} for name in ("DAPI", "FITC", "Cy3")]}

REFUSED: dict[str, tuple[dict[str, Any], Callable[[Path], object], str]] = {
    "stack": ({"axes": "tczyx"}, stack, "is a stack of 2 along z: export one plane"),
    "32 bits": ({}, other_type("uint32"), "its samples are uint32, not uint8 or uint16"),
    "floats": ({}, other_type("float32"), "its samples are float32, not uint8 or uint16"),
    "fluorescence": ({"omero": FLUORESCENCE}, str, "3 channels (DAPI, FITC, Cy3), and does not state that"),
    "four channels": (
        {},
        lambda p: zarr.create_array(p / "0", data=np.zeros((4, 9, 9), "u1"), overwrite=True),
        "holds 4 channels, and does not state",
    ),
    "no pixels": (
        {},
        lambda p: zarr.create_array(p / "0", shape=(3, 0, 9), dtype="u1", overwrite=True),
        "holds no pixels",
    ),
    "tiny chunks": (
        {},
        lambda p: zarr.create_array(
            p / "0", shape=(3, 2000, 2000), chunks=(3, 1, 1), dtype="u1", overwrite=True
        ),
        "its chunks of 1 pixels are too small",
    ),
    "huge chunks": (
        {},
        lambda p: zarr.create_array(
            p / "0", shape=(3, 99, 99), chunks=(3, 1 << 15, 1 << 15), dtype="u1", overwrite=True
        ),
        "too large to be read",
    ),
    "fewer axes": (
        {},
        lambda p: change_image(p, axes=[{"name": a} for a in "yx"]),
        "a scale of 3 numbers for 2",
    ),
    "other axes": ({}, lambda p: change_image(p, axes=[{"name": a} for a in "abc"]), "x and y are needed"),
    "old axes": ({}, lambda p: change_image(p, axes=list("cyx")), "those of an OME-Zarr before 0.4"),
    "no levels": ({}, lambda p: change_image(p, datasets=[]), "damaged or incomplete (0 levels)"),
    "no datasets": (
        {},
        lambda p: restated(p, lambda c: c["multiscales"][0].pop("datasets")),
        "'datasets' is missing",
    ),
    "no multiscales": ({}, lambda p: write_attributes(p, {}), "no OME-Zarr image (it has no multiscales)"),
    "plate": ({}, lambda p: write_attributes(p, {"plate": {}}), "is an OME-Zarr plate of several images"),
    "label": (
        {},
        lambda p: restated(p, lambda c: c.update({"image-label": {}})),
        "is a label image, not a slide",
    ),
    "another version": (
        {},
        lambda p: write_attributes(p, attributes(p), "0.6"),
        "is OME-Zarr 0.6, which is not",
    ),
    "path outside": (
        {},
        lambda p: change_image(p, datasets=[{"path": "../x"}]),
        "points to '../x', outside of it",
    ),
    "negative scale": (
        {},
        lambda p: change_image(p, coordinateTransformations=[{"type": "scale", "scale": [1, -1, 1]}]),
        "a scale that is not positive",
    ),
    "array missing": ({}, lambda p: shutil.rmtree(p / "0"), "holds no Zarr metadata"),
    "metadata cut": ({}, lambda p: (p / "zarr.json").write_text('{"attri'), "zarr.json: is no JSON"),
    "metadata gone": ({}, lambda p: (p / "zarr.json").unlink(), "holds no Zarr metadata"),
    "array damaged": ({}, lambda p: change_array(p, shape="many"), "its metadata is damaged"),
    "unknown codec": (
        {},
        lambda p: change_array(p, codecs=[{"name": "bytes"}, {"name": "numcodecs.jpeg"}]),
        "is stored with numcodecs.jpeg, which is not read",
    ),
    "levels that grow": (
        {"levels": 2},
        lambda p: restated(p, lambda c: c["multiscales"][0]["datasets"].reverse()),
        "sizes of its levels contradict",
    ),
}


@pytest.mark.parametrize(("make", "spoil", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_image_that_can_be_read_is_refused_by_name(
    tmp_path: Path, make: dict[str, Any], spoil: Callable[[Path], object], said: str
) -> None:
    path = write_zarr(tmp_path / "s.zarr", **make)
    spoil(path)
    with pytest.raises(SlideError) as caught:
        open_reader(path)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "stated", [{"dtype": "|O"}, {"filters": [{"id": "pickle"}]}, {"compressor": {"id": "pickle"}}]
)
def test_nothing_is_opened_whose_chunks_would_be_unpickled(tmp_path: Path, stated: dict[str, Any]) -> None:
    path = write_zarr(tmp_path / "s.zarr", ngff="0.4", compressors=None)
    file = path / "0" / ".zarray"
    file.write_text(json.dumps(json.loads(file.read_text()) | stated))
    with pytest.raises(SlideError, match=r"s\.zarr/0: (its samples are \|O|is stored with pickle)"):
        open_reader(path)


def test_an_absurd_size_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "s.zarr", ngff="0.4")
    stated = json.loads((path / "0/.zarray").read_text())
    (path / "0/.zarray").write_text(json.dumps({**stated, "shape": [3, 10**9, 10**9]}))
    with pytest.raises(
        SlideError, match=r"absurd size of 1000000000 x 1000000000: damaged: copy or export it again"
    ):
        Slide(path)


def test_chunks_of_no_pixel_are_refused(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "s.zarr", ngff="0.4")
    stated = json.loads((path / "0/.zarray").read_text())
    (path / "0/.zarray").write_text(json.dumps({**stated, "chunks": [0, 0, 0]}))
    with pytest.raises(SlideError, match=r"s\.zarr/0: .*: copy or export it again"):
        Slide(path)
