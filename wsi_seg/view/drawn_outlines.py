"""The outlines of annotation files, beside a slide: what a person drew, in the frame that QuPath shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.annotations.annotation_files import read_annotations
from wsi_seg.annotations.on_slide import place
from wsi_seg.slides.frames import Frames
from wsi_seg.view.page_rings import fewer_points, rings_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import shapely
    from pydantic import JsonValue

    from wsi_seg.annotations.annotation import Annotation
    from wsi_seg.models.classes import Rgb
    from wsi_seg.slides.frames import Bounds

MOST_POINTS = 1_000_000
"""Points of all outlines together; if there are more, those that are drawn are simplified."""

NO_COLOR: Rgb = (220, 60, 20)


@dataclass(frozen=True)
class Outlines:
    """Shapes that were drawn.

    Attributes
    ----------
    shapes : tuple of Annotation
        Class, name and colour of each.
    outlines_qupath : sequence of Polygon or MultiPolygon
        In the QuPath frame.
    files : tuple of str
    remarks : tuple of str
        What was left out or repaired, a line each.
    """

    shapes: tuple[Annotation, ...] = ()
    outlines_qupath: Sequence[shapely.Geometry] = ()
    files: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @classmethod
    def read(cls, paths: Sequence[Path], slide: str, bounds: Bounds) -> Outlines:
        """Read annotation files, and place their shapes on a slide.

        Raises
        ------
        AnnotationError
            If a file cannot be read, or none of its shapes lies on the slide.
        """
        if not paths:
            return cls()
        files = [read_annotations(path, places=True) for path in paths]
        placed = place(files, slide, Frames.of_cells(bounds, (1, 1)))  # whose pixels are QuPath's
        return cls(
            shapes=tuple(shape for file in files for shape in file.shapes),
            outlines_qupath=placed.outlines_label,
            files=tuple(path.name for path in paths),
            remarks=(*(line for file in files for line in file.changes), *placed.remarks),
        )

    def about(self) -> JsonValue:
        """Return what is said of them."""
        return {"files": list(self.files), "shapes": len(self.shapes)}

    def drawn(self) -> JsonValue:
        """Return each shape with its rings, for the page to draw."""
        if not self.shapes:
            return []
        shapes = fewer_points(np.array([*self.outlines_qupath], dtype=object), MOST_POINTS)
        return [
            {
                "class": shape.class_name,
                "name": shape.name,
                "color": list(shape.color or NO_COLOR),
                "area_px": outline.area,
                "rings": rings_of(drawn),
            }
            for shape, outline, drawn in zip(self.shapes, self.outlines_qupath, shapes, strict=True)
        ]
