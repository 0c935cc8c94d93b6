"""Place annotations on the slide that they were drawn on."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely

from wsi_seg.annotations.annotation_files import read_annotations
from wsi_seg.annotations.raster import holds_any_centre, rasterise
from wsi_seg.annotations.repair import polygonal
from wsi_seg.errors import AnnotationError
from wsi_seg.files.plain_files import open_plain
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from wsi_seg.annotations.annotation_files import AnnotationFile
    from wsi_seg.slides.coarse import CoarseMask
    from wsi_seg.slides.frames import Frames

ON_GLASS = 0.5
"""Share of each class that lies beside the tissue, from which on a file may be another slide's."""

LOOKED_UP, MOST_LOOKED_UP = 64, 500
"""Points along an outline's longer side where the tissue is looked up, and outlines at most."""

MIRAX = ".mrxs"
HALO_ON_MIRAX = (
    "on MIRAX slides HALO's origin is not the corner of level 0, and HALO does not state it: check where the "
    "outlines lie, or draw them in another tool"
)


class Placed(NamedTuple):
    """Shapes on a slide.

    Attributes
    ----------
    outlines_label : list of Polygon or MultiPolygon
        In the label frame: all shapes of the first file, then those of the next, and so on.
    remarks : tuple of str
        Shapes that lie outside of the slide, or may be misplaced; a line each that names the file.
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
        Remarks on them, a line each that names the file.
    sha256 : str
        Hash of the file that they were read from, in hexadecimal.
    """

    geometry_label: shapely.MultiPolygon
    remarks: tuple[str, ...]
    sha256: str


def place(files: Sequence[AnnotationFile], slide: str, frames: Frames) -> Placed:
    """Place the shapes of annotation files on a slide.

    Parameters
    ----------
    files : sequence of AnnotationFile
    slide : str
        What the slide is called; of all but DICOM its file's name.
    frames : Frames
        The slide's frames.

    Raises
    ------
    AnnotationError
        If all the shapes of a file lie outside of the slide.
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
            raise AnnotationError(f"{file.path}: no shape lies on {slide}: {why}")
        if beyond:
            lie = "lies" if beyond == 1 else "lie"
            remarks.append(f"{file.path}: {beyond} of {len(own)} shapes {lie} outside of {slide}")
        if shifted:
            remarks.append(f"{file.path}: {HALO_ON_MIRAX}")
    return Placed(outlines, tuple(remarks))


def on_glass(
    files: Sequence[AnnotationFile],
    outlines_label: Sequence[shapely.Geometry],
    tissue: CoarseMask,
    slide: str,
) -> Iterator[str]:
    """Yield a line for each file that is drawn beside the tissue, as of another slide or another level.

    Glass may be outlined as such, so nothing is said where most of any class lies on tissue.

    Parameters
    ----------
    files : sequence of AnnotationFile
    outlines_label : sequence of Polygon or MultiPolygon
        The shapes of the first file, then those of the next, and so on.
    tissue : CoarseMask
    slide : str
        What the slide is called.
    """
    outlines = iter(outlines_label)
    for file in files:
        beside = _beside(tissue, [(shape.class_name, next(outlines)) for shape in file.shapes])
        if beside is not None:
            yield (
                f"{file.path}: {beside:.0%} of what is outlined lies where {slide} has no tissue: was it "
                "drawn on another slide, or on another level of this one?"
            )


def _beside(tissue: CoarseMask, named: Sequence[tuple[str | None, shapely.Geometry]]) -> float | None:
    """Return how much of all classes lies beside the tissue; None if of any class little does."""
    beside: dict[str, float] = {}
    whole: dict[str, float] = {}
    drawn = [(name, outline) for name, outline in named if name is not None and not name.endswith("*")]
    for name, outline in drawn[:: -(-len(drawn) // MOST_LOOKED_UP) or 1]:
        off = 1 - _share_on(tissue, outline)
        beside[name] = beside.get(name, 0.0) + off * outline.area
        whole[name] = whole.get(name, 0.0) + outline.area
    if not whole or any(beside[name] < ON_GLASS * whole[name] for name in whole):
        return None
    return sum(beside.values()) / sum(whole.values())


def _share_on(mask: CoarseMask, outline_label: shapely.Geometry) -> float:
    """Return about how much of an outline lies on a mask."""
    x0, y0, x1, y1 = outline_label.bounds
    step = max(1, int(max(x1 - x0, y1 - y0) / LOOKED_UP))
    rect = Rect(*(math.floor(low / step) for low in (y0, x0)), *(math.ceil(high / step) for high in (y1, x1)))
    inside = rasterise(shapely.transform(outline_label, lambda xy: xy / step), rect)
    return float(mask.at(rect, step)[inside].mean()) if inside.any() else 1.0


def read_regions(path: Path, slide: str, frames: Frames) -> Regions:
    """Read the union of the areas of an annotation file, whatever their class.

    Parameters
    ----------
    path : Path
        In a file with TMA cores only, the cores are the regions.
    slide : str
        What the slide that they were drawn on is called; of all but DICOM its file's name.
    frames : Frames
        The slide's frames.

    Raises
    ------
    AnnotationError
        If the file cannot be read, has an unknown format, one of its shapes is unusable, none of them lies on
        the slide, they contain no label pixel's centre, or it is written to meanwhile.
    """
    sha256 = _sha256(path)
    file = read_annotations(path, places=True)
    if _sha256(path) != sha256:
        raise AnnotationError(f"{path}: was changed while it was read: run the same command again")
    if file.refused:
        raise AnnotationError(f"{path}: {file.refused[0]}: draw it again, or leave it out")
    placed = place([file], slide, frames)
    united = polygonal(shapely.union_all(np.array(placed.outlines_label, dtype=object)))
    geometry = shapely.MultiPolygon(shapely.get_parts(united).tolist())
    width, height = frames.label_size
    if not holds_any_centre(geometry, Rect(0, 0, height, width)):
        raise AnnotationError(
            f"{path}: its regions cover no pixel of {slide} at {frames.label_mpp[0]:.4g} um per px: draw "
            "larger ones"
        )
    return Regions(geometry, (*file.changes, *placed.remarks), sha256)


def _sha256(path: Path) -> str:
    """Return a file's hash; nothing for one that cannot be read, of which reading it says why."""
    try:
        with open_plain(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
