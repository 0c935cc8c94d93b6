from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.drawn_tiffs import HEIGHT, PLANES, RGB, WIDTH, write

from wsi_seg.errors import MppError, UsageError
from wsi_seg.slides.resolution import given_mpp, stated_resolution
from wsi_seg.slides.slide import Slide

SLIDE = Path("slide.tiff")
SIZE = (WIDTH, HEIGHT)
OME = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
    '<Pixels ID="Pixels:0" SizeX="{width}" SizeY="300" PhysicalSizeX="{x}" PhysicalSizeY="{x}"{units}/>'
    "</Image></OME>"
)
MOTIC = "Motic VM|AppMag = 20|MPP = 0.5"


def ome(x: float, unit: str | None = None, width: int = WIDTH) -> str:
    units = "" if unit is None else f' PhysicalSizeXUnit="{unit}" PhysicalSizeYUnit="{unit}"'
    return OME.format(x=x, units=units, width=width)


def properties(x: float | str | None, y: float | str | None = None, description: str = "") -> dict[str, str]:
    found = {"openslide.vendor": "generic-tiff", "tiff.ImageDescription": description}
    if x is not None:
        found |= {"openslide.mpp-x": str(x), "openslide.mpp-y": str(x if y is None else y)}
    return found


@pytest.mark.parametrize(
    ("x", "description", "mpp", "source"),
    [
        (0.25, "", 0.25, "its resolution tags"),
        (0.065, "", 0.065, "its resolution tags"),
        (8.0, "", 8.0, "its resolution tags"),
        (0.25, MOTIC, 0.25, "its resolution tags"),  # the description of what a smaller copy was made of
        (None, ome(0.5), 0.5, "its OME-XML"),
        (None, ome(500, "nm"), 0.5, "its OME-XML"),
        (None, ome(5000, "\u00c5"), 0.5, "its OME-XML"),
        (None, ome(5000, "\u212b"), 0.5, "its OME-XML"),
        (None, ome(500_000, "pm"), 0.5, "its OME-XML"),
        (None, ome(5e-10, "km"), 0.5, "its OME-XML"),
        (None, ome(5e-6, "dm"), 0.5, "its OME-XML"),
        (None, ome(5e8, "fm"), 0.5, "its OME-XML"),
        (None, ome(0.5 / 25.4, "thou"), 0.5, "its OME-XML"),
        (None, ome(0.5 * 72 / 25_400, "pt"), 0.5, "its OME-XML"),
        (None, ome(0.5 / 304_800, "ft"), 0.5, "its OME-XML"),
        (25_400 / 4000, ome(0.5), 0.5, "its OME-XML"),
        (4.0, "", 4.0, "its resolution tags"),
        (25_400 / 300, ome(0.5), 0.5, "its OME-XML"),
        (1000.0, ome(0.5, "µm"), 0.5, "its OME-XML"),
        (0.5, ome(0.501), 0.5, "its resolution tags"),
        (0.5, ome(2.0, width=105), 0.5, "its resolution tags"),  # of another image
        (0.5, "<OME broken", 0.5, "its resolution tags"),
    ],
)
def test_what_a_slide_can_have_is_taken(x: float | None, description: str, mpp: float, source: str) -> None:
    found = stated_resolution(SLIDE, properties(x, description=description), SIZE)
    assert found.mpp == pytest.approx((mpp, mpp))
    assert found.source == source


@pytest.mark.parametrize("dpi", [72, 96, 150, 300, 350, 500, 600, 800, 1200, 2400])
def test_a_printers_dots_are_no_slides(dpi: int) -> None:
    with pytest.raises(MppError, match=f"that is {dpi} dpi, a printer's setting: .*--mpp") as caught:
        stated_resolution(SLIDE, properties(25_400 / dpi), SIZE)
    assert "--allow-coarser" not in str(caught.value)


@pytest.mark.parametrize("dpi", [3200, 3600, 4000, 4800])
def test_a_film_scanners_dots_are_no_slides_though_a_slide_can_be_so_coarse(dpi: int) -> None:
    with pytest.raises(MppError, match=f"that is {dpi} dpi, a film scanner's setting: .*--mpp"):
        stated_resolution(SLIDE, properties(25_400 / dpi), SIZE)


@pytest.mark.parametrize(
    ("x", "y", "description", "said"),
    [
        (0.025, None, "", "finer than any scanner's, perhaps 0.25 made ten times too small: "),
        (0.0499, None, "", "perhaps 0.499 made ten times too small"),
        (0.001, None, "", "no slide has that"),
        (1000.0, None, "", "1 px per mm, the default of programs that know no resolution"),
        (50.0, None, "", "no slide has that"),
        (0.0, None, "", "no slide has that"),
        ("abc", None, "", "no slide has that"),
        (float("inf"), None, "", "no slide has that"),
        (0.25, 0.75, "", "so far from square"),
        (0.25, 84.67, "", "300 dpi"),
        (None, None, "", "does not state its resolution: give the true resolution with --mpp"),
        (
            *(None, None, MOTIC),
            "slide.tiff: states no resolution in its resolution tags; its description says 0.5 um per px: "
            "give --mpp 0.5 if that is right",
        ),
        (25_400 / 72, None, MOTIC, "its description says 0.5 um per px: give --mpp 0.5 if that is right"),
        (None, None, "<PixelSizeMicrons>0.4986</PixelSizeMicrons>", "give --mpp 0.4986 if"),
        (
            *(None, None, "Aperio Image\r\n2220x2967 -> 574x768 - |AppMag = 20|MPP = 0.4990"),
            "says 0.4990 um per px of 2220x2967 px, from which 574x768 were made: give --mpp 1.93 if that",
        ),
        (
            *(None, None, "Aperio\r\n46920x33014 [0,100 46000x32914] (240x240) -> 11500x8228 Q=30|MPP = 0.5"),
            "says 0.5 um per px of 46000x32914 px, from which 11500x8228 were made: give --mpp 2 if that",
        ),
        (None, None, "MPP = 72", "give the true resolution with --mpp"),
        (None, None, ome(0.5, "pixel"), "does not state its resolution"),
        (None, None, ome(0.5, width=105), "does not state its resolution"),
        (None, None, ome(0.025), "states 0.025 um per px in its OME-XML: finer than any scanner's"),
        (0.5, None, ome(0.25), "states 0.5 um per px in its resolution tags, but 0.25 in its OME-XML"),
        (0.025, None, ome(0.25), "states 0.025 um per px in its resolution tags, but 0.25 in its OME-XML"),
    ],
)
def test_what_no_slide_has_is_refused_in_one_line(
    x: float | str | None, y: float | None, description: str, said: str
) -> None:
    with pytest.raises(MppError) as caught:
        stated_resolution(SLIDE, properties(x, y, description), SIZE)
    assert said in str(caught.value)
    assert str(caught.value).startswith("slide.tiff: ")
    assert "--mpp" in str(caught.value)


@pytest.mark.parametrize("mpp", [0.0, -0.5, 0.025, 300.0, float("nan"), float("inf")])
def test_what_is_given_is_believed_unless_it_is_absurd(mpp: float) -> None:
    with pytest.raises(UsageError, match=rf"^--mpp {mpp:g}: no slide has that"):
        given_mpp(mpp)
    assert given_mpp(0.05) == 0.05
    assert given_mpp(16.0) == 16.0


MICROMETRES = {
    "axes": "YXS",
    "PhysicalSizeX": 0.5,
    "PhysicalSizeY": 0.5,
    "PhysicalSizeXUnit": "µm",
    "PhysicalSizeYUnit": "µm",
}
DPI: dict[str, Any] = {"resolution": (300, 300), "resolutionunit": "INCH"}
NONE = {"resolution": None, "resolutionunit": "NONE"}


@pytest.mark.parametrize("tags", [DPI, NONE])
def test_ome_xml_states_a_files_resolution(tmp_path: Path, tags: dict[str, Any]) -> None:
    for pixels, options in ((RGB, {"photometric": "rgb"}), (PLANES, {})):
        axes = {"axes": "YXS" if options else "CYX"}
        path = write(
            tmp_path / "slide.ome.tiff", pixels, ome=True, metadata=MICROMETRES | axes, **options, **tags
        )
        with Slide(path) as slide:
            assert slide.mpp == (0.5, 0.5)
            assert slide.resolution.source == "its OME-XML"


def test_allowing_a_coarse_slide_is_no_answer_to_300_dpi(tmp_path: Path) -> None:
    path = write(tmp_path / "slide.tiff", RGB, photometric="rgb", **DPI)
    with Slide(path) as slide, pytest.raises(MppError, match="300 dpi"):
        slide.frames(2.0, allow_coarser=True)
    with Slide(path, mpp=2.0) as slide:
        assert slide.frames(2.0).label_size == SIZE
        assert slide.resolution.source == "as given"
