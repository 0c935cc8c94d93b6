"""Laying what was drawn over the slide it was drawn on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely

from wsi_seg.annotations.mending import polygonal
from wsi_seg.annotations.raster import holds_any_centre
from wsi_seg.annotations.reading import read_annotations
from wsi_seg.errors import AnnotationError
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wsi_seg.annotations.reading import AnnotationFile
    from wsi_seg.slides.frames import Frames

MIRAX = ".mrxs"
HALO_ON_MIRAX = (
    "on MIRAX slides HALO does not count from the corner of level 0, nor say from where: look where its "
    "outlines lie, or draw them in another tool"
)


class Laid(NamedTuple):
    """Shapes on a slide.

    Attributes
    ----------
    outlines_label : list of Polygon or MultiPolygon
        In the label frame: of each file in turn, all its shapes.
    remarks : tuple of str
        Which shapes lie beyond the slide, or may lie wrong; a line each that names the file.
    """

    outlines_label: list[shapely.Geometry]
    remarks: tuple[str, ...]


class Regions(NamedTuple):
    """Regions of interest on a slide.

    Attributes
    ----------
    geometry_label : MultiPolygon
        In the label frame; never empty.
    remarks : tuple of str
        What there is to be said of them, a line each that names the file.
    """

    geometry_label: shapely.MultiPolygon
    remarks: tuple[str, ...]


def lay(files: Sequence[AnnotationFile], slide: str, frames: Frames) -> Laid:
    """Lay the shapes of annotation files over a slide.

    Parameters
    ----------
    files : sequence of AnnotationFile
    slide : str
        The slide's file name.
    frames : Frames
        The slide's frames.

    Raises
    ------
    AnnotationError
        If all the shapes of a file lie beyond the slide.
    """
    outlines: list[shapely.Geometry] = []
    remarks: list[str] = []
    whole = shapely.box(0, 0, *frames.label_size)
    for file in files:
        own = file.outlines_label(frames)
        outlines += own
        shifted = file.format == "HALO annotations" and slide.lower().endswith(MIRAX)
        on = shapely.intersects(whole, own) & ~shapely.touches(whole, own)
        beyond = len(own) - int(np.count_nonzero(on))
        if beyond == len(own):
            why = HALO_ON_MIRAX if shifted else "was it drawn on another slide?"
            raise AnnotationError(f"{file.path}: lies nowhere on {slide}: {why}")
        if beyond:
            lie = "lies" if beyond == 1 else "lie"
            remarks.append(f"{file.path}: {beyond} of {len(own)} shapes {lie} beyond {slide}")
        if shifted:
            remarks.append(f"{file.path}: {HALO_ON_MIRAX}")
    return Laid(outlines, tuple(remarks))


def read_regions(path: Path, slide: str, frames: Frames) -> Regions:
    """Read the areas of an annotation file, whatever their class, united.

    Parameters
    ----------
    path : Path
        Of a file of TMA cores alone, these are the regions.
    slide : str
        File name of the slide that they were drawn on.
    frames : Frames
        The slide's frames.

    Raises
    ------
    AnnotationError
        If the file cannot be read, is of no known format, one of its shapes is unusable, none of them lies
        on the slide, or they hold no label pixel's centre.
    """
    file = read_annotations(path, places=True)
    if file.refused:
        raise AnnotationError(f"{path}: {file.refused[0]}: draw it again, or leave it out")
    laid = lay([file], slide, frames)
    united = polygonal(shapely.union_all(np.array(laid.outlines_label, dtype=object)))
    geometry = shapely.MultiPolygon(shapely.get_parts(united).tolist())
    width, height = frames.label_size
    if not holds_any_centre(geometry, Rect(0, 0, height, width)):
        raise AnnotationError(
            f"{path}: covers no pixel of {slide} at {frames.label_mpp[0]:.4g} um per px: draw larger regions"
        )
    return Regions(geometry, (*file.changes, *laid.remarks))
