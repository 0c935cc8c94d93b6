"""Channels in planes, grey, more than 8 bits: read where it is clear how, else refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from conftest import tissue_rgb, write_tiff
from helpers.drawn_tiffs import GREY, HEIGHT, PLANES, RGB, WIDTH, channels, write
from helpers.tiff_pages import page_of

from wsi_seg.errors import SlideError
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.readers.reader_choice import open_reader

PRIMARY = [(255 << 24) - (1 << 32) | 255, 255 << 16 | 255, 255 << 8 | 255]
"""Red, green and blue, opaque, as OME-XML writes them."""

DEEP = RGB.astype(np.uint16)


def spoilt(pixels: np.ndarray, where: tuple[slice, ...], value: int) -> np.ndarray:
    other = pixels.copy()
    other[where] = value
    return other


ONE, HOT, PAD = np.s_[0:1, 0:1], np.s_[::20, ::20], np.s_[:, 200:]


def read(path: Path) -> np.ndarray:
    reader = open_reader(path)
    rgba, unreadable = reader.read(0, Rect(0, 0, HEIGHT, WIDTH))
    reader.close()
    assert unreadable == []
    assert (rgba[..., 3] == 255).all()
    return rgba[..., :3]


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (PLANES, {"ome": True, "metadata": {"axes": "CYX"}}),
        (PLANES, {"metadata": {"axes": "CYX"}}),
        (PLANES, {"planarconfig": "separate"}),
        (PLANES, {"planarconfig": "separate", "photometric": "rgb"}),
        (RGB, {"planarconfig": "contig"}),
        (PLANES, {"ome": True, "metadata": channels(Name=["Red", "Green", "Blue"])}),
        (PLANES[::-1], {"ome": True, "metadata": channels(Name=["B", "G", "R"])}),
        (PLANES[[1, 2, 0]], {"ome": True, "metadata": channels(Color=[PRIMARY[i] for i in (1, 2, 0)])}),
        (PLANES, {"ome": True, "metadata": channels(Name=["Channel 0", "Channel 1", "Channel 2"])}),
        (np.dstack([RGB, GREY]), {"photometric": "rgb", "extrasamples": ["UNSPECIFIED"]}),
        (DEEP << 4, {"photometric": "rgb", "ome": True, "metadata": {"axes": "YXS", "SignificantBits": 12}}),
        (DEEP, {"photometric": "rgb", "ome": True, "metadata": {"axes": "YXS", "SignificantBits": 8}}),
        (DEEP << 8, {"photometric": "rgb", "ome": True, "metadata": {"axes": "YXS", "SignificantBits": 16}}),
        (DEEP * 257, {"photometric": "rgb"}),
        (
            PLANES.astype(np.uint16) << 4,
            {"ome": True, "metadata": channels(Name=list("RGB")) | {"SignificantBits": 12}},
        ),
    ],
)
def test_red_green_and_blue_are_found(tmp_path: Path, pixels: np.ndarray, options: dict[str, Any]) -> None:
    np.testing.assert_array_equal(read(write(tmp_path / "slide.tiff", pixels, **options)), RGB)


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (GREY, {}),
        (255 - GREY, {"photometric": "miniswhite"}),
        (GREY.astype(np.uint16) * 257, {}),
        (GREY.astype(np.uint16) << 2, {"ome": True, "metadata": {"axes": "YX", "SignificantBits": 10}}),
    ],
)
def test_grey_is_grey(tmp_path: Path, pixels: np.ndarray, options: dict[str, Any]) -> None:
    rgb = read(write(tmp_path / "slide.tiff", pixels, **options))
    np.testing.assert_array_equal(rgb, np.repeat(GREY[..., None], 3, axis=2))


def test_a_stack_is_read_in_its_first_plane(tmp_path: Path) -> None:
    stack = np.stack([PLANES, PLANES[::-1]])
    path = write(tmp_path / "slide.tiff", stack, ome=True, metadata={"axes": "ZCYX"})
    np.testing.assert_array_equal(read(path), RGB)


@pytest.mark.parametrize(
    ("pixels", "options", "said"),
    [
        (
            PLANES,
            {"ome": True, "metadata": channels(Name=["DAPI", "FITC", "Cy3"])},
            "3 grey channels (DAPI, FITC, Cy3)",
        ),
        (
            PLANES,
            {"ome": True, "metadata": channels(Name=["Red", "Red", "Blue"])},
            "3 grey channels (Red, Red, Blue)",
        ),
        (PLANES, {"ome": True, "metadata": channels(Fluor=["a", "b", "c"])}, "3 grey channels"),
        (
            PLANES,
            {"ome": True, "metadata": channels(EmissionWavelength=[461.0, 520.0, 570.0])},
            "3 grey channels",
        ),
        (PLANES[[0, 1, 2, 0]], {"ome": True, "metadata": {"axes": "CYX"}}, "4 grey channels"),
        (PLANES[:2], {"ome": True, "metadata": {"axes": "CYX"}}, "2 grey channels"),
        (PLANES, {}, "3 grey pages"),
        (PLANES.astype(np.uint16) * 257, {"ome": True, "metadata": {"axes": "CYX"}}, "3 grey channels"),
        (RGB[..., :2], {"planarconfig": "contig"}, "2 grey"),
        (DEEP << 4, {"photometric": "rgb"}, "16 bits per sample, uses 12 of them"),
        (GREY.astype(np.uint16), {}, "16 bits per sample, uses 8 of them"),
        (spoilt(DEEP << 4, ONE, 65535), {"photometric": "rgb"}, "uses 12 of them"),
        (spoilt(DEEP << 4, HOT, 40000), {"photometric": "rgb"}, "uses 12 of them"),
        (spoilt(DEEP << 4, PAD, 65535), {"photometric": "rgb"}, "uses 12 of them"),
        (spoilt(DEEP, np.s_[:, :], 65535), {"photometric": "rgb"}, "uses 0 of them"),
        (
            spoilt(DEEP << 4, ONE, 16383),
            {"photometric": "rgb", "ome": True, "metadata": {"axes": "YXS", "SignificantBits": 14}},
            "states 14 significant bits in 16, but uses only 12",
        ),
        (
            DEEP << 4,
            {"photometric": "rgb", "ome": True, "metadata": {"axes": "YXS", "SignificantBits": 10}},
            "states 10 significant bits in 16, but holds the value 3888",
        ),
        (RGB.astype(np.int8), {"photometric": "rgb"}, "samples are signed numbers"),
        (DEEP, {"photometric": "cielab"}, "16 bits per sample, and is not RGB"),
        (GREY.astype(np.uint16), {"photometric": "miniswhite"}, "white is 0"),
    ],
)
def test_what_is_not_clear_is_refused_by_name(
    tmp_path: Path, pixels: np.ndarray, options: dict[str, Any], said: str
) -> None:
    path = write(tmp_path / "slide.tiff", pixels, **options)
    with pytest.raises(SlideError) as caught:
        open_reader(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_value_beyond_the_stated_bits_costs_its_tile(tmp_path: Path) -> None:
    """Found in reading, where the tiles that were looked at in opening hold none."""
    pixels = np.full((128, 128 * 100, 3), 3000, np.uint16)
    pixels[:, 128 * 2 : 128 * 3] = 5000
    options = {"axes": "YXS", "SignificantBits": 12}
    path = write(tmp_path / "slide.tiff", pixels, ome=True, photometric="rgb", metadata=options)
    reader = open_reader(path)
    assert reader.read(0, Rect(0, 0, 128, 1280))[1] == [Rect(0, 256, 128, 384)]
    reader.close()


def test_a_level_higher_than_the_slide_is_damage(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tiff", tissue_rgb(512, 512), levels=3)
    with tifffile.TiffFile(path) as tiff:
        height = page_of(tiff, 1).tags["ImageLength"].valueoffset
    with path.open("r+b") as file:
        file.seek(height)
        file.write((1100).to_bytes(2, "little"))
    with pytest.raises(SlideError, match=r"a\.tiff: damaged: the sizes of its levels contradict"):
        open_reader(path)


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.svs").touch()
    with pytest.raises(SlideError, match=r"empty\.svs: is empty: copy or export it again$"):
        open_reader(tmp_path / "empty.svs")
    (tmp_path / "text.svs").write_text("no slide")
    with pytest.raises(SlideError, match=r"text\.svs: not a slide .*: copy or export it again$"):
        open_reader(tmp_path / "text.svs")


@pytest.mark.parametrize("side", [16, 48, 240])
@pytest.mark.parametrize("pixels", [RGB, GREY])
def test_uncompressed_tiles_that_openslide_opens_and_does_not_read(
    tmp_path: Path, pixels: np.ndarray, side: int
) -> None:
    """Their bytes are no multiple of 1,024."""
    kind = "rgb" if pixels.ndim == 3 else "minisblack"
    path = write(tmp_path / "slide.tiff", pixels, tile=(side, side), compression=None, photometric=kind)
    reader = open_reader(path)
    assert reader.how.endswith("OpenSlide reads none of its uncompressed tiles")
    reader.close()
    wanted = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2)
    np.testing.assert_array_equal(read(path), wanted)
