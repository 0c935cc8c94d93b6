"""What a file of polygons holds, counted while it is written."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from wsi_seg.results.polygons.placing import Placed
    from wsi_seg.slides.frames import Frames


@dataclass(frozen=True)
class ExportReport:
    """The content of a file.

    Attributes
    ----------
    polygons : dict of int to int
        Number of shapes of each class id in the file.
    area_um2 : dict of int to float
        Their area in square micrometres, by their outlines: what QuPath measures.
    label_area_um2 : dict of int to float
        Their area in square micrometres, by the label pixels in them.
    vertices : int
        Points of all outlines, closing points included.
    repaired : int
        Shapes whose outline was snapped to a coarser grid to be valid in QuPath.
    dropped : int
        Shapes left out because nothing of them remained at QuPath's precision.
    bytes : int
        Size of the file.
    """

    polygons: dict[int, int]
    area_um2: dict[int, float]
    label_area_um2: dict[int, float]
    vertices: int
    repaired: int
    dropped: int
    bytes: int


@dataclass
class FileTally:
    """What is counted while a file is written, a shape after the other."""

    polygons: Counter[int] = field(default_factory=Counter)
    pixels: Counter[int] = field(default_factory=Counter)
    outlined_px2: dict[int, float] = field(default_factory=dict)
    vertices: int = 0
    repaired: int = 0
    dropped: int = 0

    def kept(self, placed: Iterable[Placed]) -> Iterator[Placed]:
        """Count shapes, and pass on those with an outline."""
        for item in placed:
            self.repaired += item.repaired
            if not item.vertices:
                self.dropped += 1
                continue
            class_id = item.shape.class_id
            self.polygons[class_id] += 1
            self.pixels[class_id] += item.shape.area_px
            self.outlined_px2[class_id] = self.outlined_px2.get(class_id, 0.0) + item.area_px2
            self.vertices += item.vertices
            yield item

    def report(self, path: Path, frames: Frames) -> ExportReport:
        """Return the report on the file, which is written."""
        return ExportReport(
            polygons=dict(sorted(self.polygons.items())),
            area_um2={i: px2 * frames.slide_pixel_um2 for i, px2 in sorted(self.outlined_px2.items())},
            label_area_um2={i: n * frames.label_pixel_um2 for i, n in sorted(self.pixels.items())},
            vertices=self.vertices,
            repaired=self.repaired,
            dropped=self.dropped,
            bytes=path.stat().st_size,
        )
