"""The regions that are measured: the shapes of an annotation file, or the whole slide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from wsi_seg.annotations.annotation_files import read_annotations
from wsi_seg.annotations.on_slide import HALO_ON_MIRAX, place
from wsi_seg.annotations.raster import Painting, holds_any_centre
from wsi_seg.errors import AnnotationError
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.annotations.annotation import Annotation
    from wsi_seg.slides.frames import Frames

WHOLE = 0
"""The number of the region that is the whole slide; those of a file count from 1."""


@dataclass(frozen=True)
class Region:
    """One region on the labels of a slide.

    Attributes
    ----------
    number : int
        Its place in the annotation file, from 1; 0 is the whole slide.
    rect : Rect
        The label pixels that it may cover, inside the labels.
    painting : Painting or None
        Its outline in the label frame; None if it covers `rect`.
    off_slide_px : float
        Its area off the labels, in label pixels.
    name, class_name, object_id : str or None
        The name, the class and the id that its file gives it.
    """

    number: int
    rect: Rect
    painting: Painting | None = None
    off_slide_px: float = 0.0
    name: str | None = None
    class_name: str | None = None
    object_id: str | None = None

    @classmethod
    def whole(cls, frames: Frames) -> Region:
        """Return the whole slide as one region."""
        width, height = frames.label_size
        return cls(WHOLE, Rect(0, 0, height, width))

    def inside(self, rect: Rect) -> NDArray[np.bool_] | None:
        """Return which pixels of a rectangle have their centre in the region; None if all have."""
        if self.painting is None:
            return None
        pixels = np.zeros((rect.height, rect.width), dtype=np.uint8)
        self.painting.onto(pixels, rect)
        return pixels.astype(bool)


@dataclass(frozen=True)
class RegionFile:
    """The regions of an annotation file.

    Attributes
    ----------
    path : Path
    format : str
        The tool and its format, in words.
    regions : tuple of Region
        In the file's order; they may overlap.
    remarks : tuple of str
        What was repaired or left out, and shapes that may be misplaced: a line each that names the file.
    """

    path: Path
    format: str
    regions: tuple[Region, ...]
    remarks: tuple[str, ...]


def read_region_file(path: Path, slide: str, frames: Frames) -> RegionFile:
    """Read the shapes of an annotation file as regions, whatever their class.

    Parameters
    ----------
    path : Path
        In a file with TMA cores only, the cores are the regions.
    slide : str
        File name of the slide that they were drawn on.
    frames : Frames
        The slide's frames.

    Raises
    ------
    AnnotationError
        If the file cannot be read, has an unknown format, or one of its shapes is unusable, lies off the
        slide, or holds no label pixel's centre.
    """
    file = read_annotations(path, places=True)
    if file.refused:
        raise AnnotationError(f"{path}: {file.refused[0]}: draw it again, or leave it out")
    placed = place([file], slide, frames)
    regions = [
        _region(path, shape, outline, slide, frames)
        for shape, outline in zip(file.shapes, placed.outlines_label, strict=True)
    ]
    shifted = tuple(remark for remark in placed.remarks if HALO_ON_MIRAX in remark)
    return RegionFile(path, file.format, tuple(regions), (*file.changes, *shifted))


def _region(path: Path, shape: Annotation, outline: shapely.Geometry, slide: str, frames: Frames) -> Region:
    """Place a shape on the labels of a slide; `outline` is in the label frame."""
    named = f"{path}: shape {shape.order}" + (f" ({shape.class_name})" if shape.class_name else "")
    width, height = frames.label_size
    whole = shapely.box(0, 0, width, height)
    if not shapely.intersects(whole, outline) or shapely.touches(whole, outline):
        raise AnnotationError(
            f"{named} lies off {slide}: was it drawn on another slide? Leave it out, or give the right file"
        )
    x0, y0, x1, y1 = outline.bounds
    low, high = np.floor([y0, x0]), np.ceil([y1, x1])
    clipped = np.clip([*low, *high], 0, [height, width, height, width]).astype(int)
    rect = Rect(*clipped.tolist())
    if not holds_any_centre(outline, rect):
        raise AnnotationError(
            f"{named} covers no pixel of {slide} at {frames.label_mpp[0]:.4g} um per px: draw it larger, or "
            "leave it out"
        )
    off = 0.0 if shapely.covers(whole, outline) else float(shapely.difference(outline, whole).area)
    return Region(
        number=shape.order,
        rect=rect,
        painting=Painting.of([outline], [1]),
        off_slide_px=off,
        name=shape.name,
        class_name=shape.class_name,
        object_id=shape.object_id,
    )
