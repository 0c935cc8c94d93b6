"""Micrometres per pixel: the file's statement, taken only if a slide can have it. Never guessed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.errors import MppError, UnstatedMppError, UsageError
from wsi_seg.settings import GIVEN_MPP, WORKING_MPP
from wsi_seg.slides.readers.ome import read_ome
from wsi_seg.slides.readers.statements import PAGE
from wsi_seg.slides.readers.zarr_store import UNITLESS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MPP_RANGE = (GIVEN_MPP[0], 10.0)
"""The range of slides: from an oil lens on a fine camera up to levels that were exported on their own.
Printers'
dots are coarser, down to 10.6 um at 2400 dpi. Those of film scanners lie inside, and are listed by name."""

PRINTERS_DPI = (72, 96, 100, 120, 144, 150, 180, 200, 240, 300, 350, 360, 400, 500, 600, 720, 800, 1200, 2400)
FILM_DPI = (3200, 3600, 4000, 4800)
INCH_UM = 25_400.0
ONE_PER_MM = 1000.0

ALIKE = 0.01
"""Relative difference that two statements of one resolution may have."""

SQUEEZED = 2.0
"""A ratio of sides that no scanner's pixels have."""

PLACES = {"generic-tiff": "its resolution tags", "ome-zarr": "its OME-Zarr metadata"}
"""Where a format states its resolution."""

NO_GUESS = "give the true resolution with --mpp"
MADE_FROM = re.compile(r"\b(\d+x\d+)(?: \[\d+,\d+ (\d+x\d+)\])?(?: \([^)]*\))? -> (\d+x\d+)\b")
"""As Aperio's descriptions say that an image was made from another, or a part of it, whose MPP they state."""

DESCRIBED = re.compile(r"(?:\bMPP\s*[=:]\s*|<PixelSizeMicrons>\s*)(\d+(?:\.\d+)?)", re.IGNORECASE)


@dataclass(frozen=True)
class Resolution:
    """Micrometres per slide pixel in x and y, and their source."""

    mpp: tuple[float, float]
    source: str


def given_mpp(mpp: float) -> float:
    """Check the resolution that a user gives for a slide, or for all slides.

    Raises
    ------
    UsageError
        If no slide has it.
    """
    if not GIVEN_MPP[0] <= mpp <= GIVEN_MPP[1]:
        raise UsageError(f"--mpp {mpp:g}: no slide has that: give its um per px, such as 0.5")
    return mpp


def check_mpp(mpp: float | None, working_mpp: float | None) -> None:
    """Check the resolutions that a user gives for slides, and for what is seen of them.

    Raises
    ------
    UsageError
        If no slide has the first, or no model works at the second.
    """
    if mpp is not None:
        given_mpp(mpp)
    if working_mpp is not None and not WORKING_MPP[0] <= working_mpp <= WORKING_MPP[1]:
        raise UsageError(f"--working-mpp {working_mpp:g}: not a resolution: give um per pixel, such as 2")


def stated_resolution(path: Path, properties: Mapping[str, str], size: tuple[int, int]) -> Resolution:
    """Return the resolution that a file states.

    TIFF tags and OME-XML may each state one. A printer's setting, or a program's default, is not a statement.

    Parameters
    ----------
    path : Path
        Named in errors.
    properties : mapping of str to str
        What the file says of itself, by OpenSlide's names.
    size : (int, int)
        Width and height of level 0; OME-XML of another size describes another image.

    Raises
    ------
    UnstatedMppError
        If nothing is stated.
    MppError
        If the statements differ, or no slide can have the stated value.
    """
    header = _header_mpp(properties)
    ome = read_ome(properties.get("tiff.ImageDescription", ""), int(properties.get(PAGE, 0)))
    in_ome = ome.mpp if ome is not None and ome.size == size else None
    where = PLACES.get(properties.get("openslide.vendor", ""), "its header")
    if in_ome is not None and (header is None or _meant_otherwise(header[0])):
        found = Resolution(in_ome, "its OME-XML")
    elif header is None:
        described = _described(properties)
        if ome is not None and ome.mpp is not None:
            raise UnstatedMppError(
                f"{path}: the file does not state its resolution: its OME-XML describes an image of "
                f"{ome.size[0]} x {ome.size[1]} px, and this one has {size[0]} x {size[1]}: {NO_GUESS}"
            )
        if described is None:
            raise UnstatedMppError(f"{path}: the file does not state its resolution: {NO_GUESS} (um per px)")
        raise UnstatedMppError(f"{path}: states no resolution in {where}; {described}")
    elif in_ome is not None and not alike(header, in_ome):
        raise MppError(
            f"{path}: states {mpp_in_words(header)} um per px in {where}, but {mpp_in_words(in_ome)} in its "
            "OME-XML: give the true one with --mpp"
        )
    else:
        found = Resolution(header, where)
    doubt = suspicion(found.mpp)
    if doubt is not None:
        stated = f"states {mpp_in_words(found.mpp)} um per px in {found.source}"
        raise MppError(f"{path}: {stated}: {doubt}: {_described(properties) or NO_GUESS}")
    return found


def _header_mpp(properties: Mapping[str, str]) -> tuple[float, float] | None:
    x, y = (properties.get(f"openslide.mpp-{axis}") for axis in "xy")
    if x is None or y is None:
        return None
    try:
        return float(x), float(y)
    except ValueError:
        return math.nan, math.nan


def _meant_otherwise(mpp: float) -> str | None:
    """Name the origin of a resolution that no slide has: a printer, a film scanner, a program's default."""
    for settings, device in ((PRINTERS_DPI, "printer"), (FILM_DPI, "film scanner")):
        for dpi in settings:
            if abs(mpp * dpi / INCH_UM - 1) < 0.005:
                return f"{dpi} dpi, a {device}'s setting"
    if abs(mpp / ONE_PER_MM - 1) < 0.005:
        return "1 px per mm, the default of programs that know no resolution"
    return None


def suspicion(mpp: tuple[float, float]) -> str | None:
    """Describe what is wrong with a resolution; None if a slide can have it."""
    low, high = MPP_RANGE
    for side in mpp:
        meant = _meant_otherwise(side)
        if meant is not None:
            return f"that is {meant}"
        if low <= side <= high:
            continue
        if 0.1 <= 10 * side <= 1:
            return f"finer than any scanner's, perhaps {10 * side:g} made ten times too small"
        return "no slide has that"
    if max(mpp) > SQUEEZED * min(mpp):
        return "no scanner's pixels are so far from square"
    return None


def _described(properties: Mapping[str, str]) -> str | None:
    """Quote what the file says by the way, and how to give it if it is right; None if it is of no use."""
    scale = properties.get(UNITLESS)
    if scale is not None and float(scale) != 1 and MPP_RANGE[0] <= float(scale) <= MPP_RANGE[1]:
        return f"its scale is {scale}, without a unit of length: give --mpp {scale} if that is um per px"
    description = properties.get("tiff.ImageDescription", "")
    described = DESCRIBED.search(description)
    if described is None or not MPP_RANGE[0] <= float(described[1]) <= MPP_RANGE[1]:
        return None
    says = f"its description says {described[1]} um per px"
    made_from = MADE_FROM.search(description)
    if made_from is None:
        return f"{says}: give --mpp {described[1]} if that is right"
    whole, made = made_from[2] or made_from[1], made_from[3]
    mpp = float(described[1]) * int(whole.split("x")[0]) / max(1, int(made.split("x")[0]))
    return f"{says} of {whole} px, from which {made} were made: give --mpp {mpp:.4g} if that is right"


def alike(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Return whether two statements may be of one resolution."""
    return all(abs(a - b) <= ALIKE * b for a, b in zip(one, other, strict=True))


def mpp_in_words(mpp: tuple[float, float]) -> str:
    """Return a resolution as messages show it: one number if it is the same in x and y."""
    x, y = (f"{side:.4g}" for side in mpp)
    return x if x == y else f"{x} x {y}"
