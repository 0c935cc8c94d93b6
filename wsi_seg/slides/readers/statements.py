"""What a TIFF states about one of its images, by OpenSlide's names, where OpenSlide does not read it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import tifffile

from wsi_seg.errors import SlideError
from wsi_seg.slides.readers.tiff_pages import ERRORS, quiet

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.slides.readers.images import TiffImage

UM = {2: 25_400.0, 3: 10_000.0}
"""Micrometres per unit of the tag ResolutionUnit."""

IMAGEJ_UNIT = re.compile(r"^unit=(.*)$", re.MULTILINE)
IMAGEJ_UM = {
    "micron": 1.0,
    "microns": 1.0,
    "um": 1.0,
    "µm": 1.0,
    "\\u00b5m": 1.0,
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
    "inch": 25_400.0,
}
"""Micrometres per unit, by ImageJ's names; the one with a backslash is how it writes the micro sign."""

TEXTS = ("Make", "Model", "Software", "DateTime", "Artist", "Copyright")

SERIES, PAGE = "tiff.series", "tiff.page"
"""Properties: an image's number, and that of its first page, where it does not begin on the file's first."""


def statements(path: Path, image: TiffImage) -> dict[str, str]:
    """Return the tags of an image's first page as OpenSlide's properties.

    Raises
    ------
    SlideError
        If the file is damaged.
    """
    try:
        with quiet(), tifffile.TiffFile(path) as tiff:
            tags = tiff.series[image.index].keyframe.tags
            found = {"openslide.vendor": "generic-tiff", "tiff.ImageDescription": image.description}
            if image.page:
                found |= {SERIES: str(image.index), PAGE: str(image.page)}
            found |= {f"tiff.{name}": str(tags[name].value).strip() for name in TEXTS if name in tags}
            unit = _imagej_um(image.description) or UM.get(int(tags.valueof("ResolutionUnit", default=2)))
            for axis in "XY":
                per_unit = _ratio(tags.valueof(f"{axis}Resolution"))
                if unit is not None and per_unit:
                    found[f"openslide.mpp-{axis.lower()}"] = repr(unit / per_unit)
    except ERRORS as error:
        raise SlideError(f"{path}: damaged TIFF ({error}): copy or export it again") from error
    return found


def _imagej_um(description: str) -> float | None:
    """Return the micrometres per unit of length that ImageJ states in its description, beside the tags."""
    if not description.startswith("ImageJ="):
        return None
    unit = IMAGEJ_UNIT.search(description)
    return None if unit is None else IMAGEJ_UM.get(unit[1].strip().lower())


def _ratio(value: Any) -> float:
    """Return a rational number of a tag; 0 where there is none, or it divides by zero."""
    if value is None:
        return 0.0
    numerator, denominator = value
    return float(numerator) / float(denominator) if denominator else 0.0
