"""The measures of regions: counts of pixels turned into areas, lengths and shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.measures.borders import border_lengths
from wsi_seg.measures.pixel_kinds import Kinds
from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wsi_seg.measures.region_file import Region
    from wsi_seg.measures.region_tally import Tally
    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.slides.frames import Frames

UNPROCESSED, OUTSIDE = "(unprocessed)", "(outside)"
"""What stands for a class's name where it borders on pixels of no class."""


@dataclass(frozen=True)
class ClassMeasures:
    """One class in one region.

    Attributes
    ----------
    id : int
        Label value.
    name : str
    mm2 : float
    share : float or None
        Share of the region's tissue, which is all classes but the background; None for the background, and
        where there is no tissue.
    components : int
        Components: pixels that are connected by their edges.
    perimeter_um : float
        Length of its borders inside the region.
    cut_um : float
        Length of the line along which the region's outline, or the end of the slide, cuts it.
    near_mm2 : tuple of float
        Its area in each band around the border of the class that distances are measured to.
    """

    id: int
    name: str
    mm2: float
    share: float | None
    components: int
    perimeter_um: float
    cut_um: float
    near_mm2: tuple[float, ...]

    @property
    def near_shares(self) -> tuple[float | None, ...]:
        """The share of its area that lies in each band; None for a class without an area."""
        return tuple(near / self.mm2 if self.mm2 else None for near in self.near_mm2)


@dataclass(frozen=True)
class Boundary:
    """The border between two classes, or between a class and pixels of no class, in one region.

    Attributes
    ----------
    id : int
    name : str
    other_id : int
        Label value; 254 and 255 for pixels of no class.
    other : str
    um : float
    """

    id: int
    name: str
    other_id: int
    other: str
    um: float


@dataclass(frozen=True)
class RegionMeasures:
    """One region.

    Attributes
    ----------
    region : Region
    mm2 : float
        Area of the whole region.
    tissue_mm2 : float
        Area of all classes but the background.
    unprocessed_mm2 : float
        Area that could not be read.
    outside_mm2 : float
        Area that was not asked for (outside of the tissue, or of a region of interest), or off the slide.
    off_slide_mm2 : float
        The part of it that lies off the slide.
    classes : tuple of ClassMeasures
        All of the schema's, in its order.
    boundaries : tuple of Boundary
        Between each two classes, and between each class and unprocessed and outside pixels.
    """

    region: Region
    mm2: float
    tissue_mm2: float
    unprocessed_mm2: float
    outside_mm2: float
    off_slide_mm2: float
    classes: tuple[ClassMeasures, ...]
    boundaries: tuple[Boundary, ...]


def measure(tally: Tally, schema: ClassSchema, frames: Frames) -> RegionMeasures:
    """Turn the counts of a region into measures."""
    kinds = Kinds(schema)
    pixel_mm2 = frames.label_pixel_um2 / 1e6
    areas = tally.pixels * pixel_mm2
    lengths = border_lengths(tally.crossings, frames.label_mpp)
    tissue = sum(areas[i] for i, c in enumerate(schema.classes) if c.id != schema.background_id)
    off = tally.region.off_slide_px * pixel_mm2
    outside = float(areas[kinds.outside]) + off
    return RegionMeasures(
        region=tally.region,
        mm2=float(areas[: kinds.outside].sum()) + outside,
        tissue_mm2=float(tissue),
        unprocessed_mm2=float(areas[kinds.unprocessed]),
        outside_mm2=outside,
        off_slide_mm2=off,
        classes=tuple(
            ClassMeasures(
                id=c.id,
                name=c.name,
                mm2=float(areas[i]),
                share=float(areas[i] / tissue) if tissue and c.id != schema.background_id else None,
                components=int(tally.components[i]),
                perimeter_um=float(lengths[i, : kinds.beyond].sum()),
                cut_um=float(lengths[i, kinds.beyond]),
                near_mm2=tuple((tally.near[i] * pixel_mm2).tolist()),
            )
            for i, c in enumerate(schema.classes)
        ),
        boundaries=_boundaries(kinds, lengths),
    )


def _boundaries(kinds: Kinds, lengths: NDArray[np.float64]) -> tuple[Boundary, ...]:
    named = [(c.id, c.name) for c in kinds.schema.classes]
    named += [(UNPROCESSED_ID, UNPROCESSED), (OUTSIDE_ID, OUTSIDE)]
    return tuple(
        Boundary(*named[one], *named[other], float(lengths[one, other]))
        for one in range(kinds.classes)
        for other in range(one + 1, kinds.beyond)
    )
