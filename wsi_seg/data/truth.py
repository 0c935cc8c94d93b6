"""The known class of each pixel of a slide, from the shapes drawn on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from wsi_seg.annotations.raster import Painting
from wsi_seg.data.sources import IGNORE
from wsi_seg.models.classes import name_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    import shapely
    from numpy.typing import NDArray

    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.slides.coarse import CoarseMask
    from wsi_seg.slides.lattice import Rect

REGION_CLASS = "Region*"
"""QuPath's own class for areas that contain annotations: it does not name the tissue in them."""


def is_region_class(name: str | None) -> bool:
    """Return whether a class is QuPath's `Region*`, in whatever case."""
    return name is not None and name_key(name) == name_key(REGION_CLASS)


class TruthSettings(BaseModel):
    """The class of pixels outside of all outlines.

    Attributes
    ----------
    rest : str or None
        Class of all tissue that is not outlined. None: unknown.
    roi_class : str or None
        Class of shapes in which everything of interest is outlined. Inside them, tissue that is not outlined
        is `rest`; if there is no `rest`, all that is not outlined is background. Outside of them, what is not
        outlined is unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rest: str | None = None
    roi_class: str | None = None

    @property
    def rest_is_tissue(self) -> bool:
        """Whether tissue that is not outlined is `rest`, and so whether it matters where tissue is."""
        return self.rest is not None

    def is_roi(self, class_name: str | None) -> bool:
        """Return whether shapes of a class are regions of interest."""
        return None not in (self.roi_class, class_name) and name_key(self.roi_class or "") == name_key(
            class_name or ""
        )


@dataclass(frozen=True)
class SlideTruth:
    """The class of every pixel of a slide's label frame, as far as it is known.

    Attributes
    ----------
    shapes : Painting
        The outlined shapes, painted with class indices; with `IGNORE` for shapes without a class, or with a
        class that is to be ignored.
    rest : int
        Class index of pixels in no shape, inside of `extent`.
    regions : Painting or None
        Regions of interest, painted with `rest`: outside of them, pixels in no shape are unknown. None:
        there are no such regions.
    tissue : CoarseMask or None
        Where pixels in no shape are `rest`. None: everywhere in the regions, or nowhere if there are none.
    recorded : CoarseMask or None
        Where the scanner recorded pixels; elsewhere the class is unknown, even inside outlines. None:
        everywhere.
    """

    shapes: Painting
    rest: int = IGNORE
    regions: Painting | None = None
    tissue: CoarseMask | None = None
    recorded: CoarseMask | None = None

    @classmethod
    def of(
        cls,
        outlines_label: Sequence[shapely.Geometry],
        class_names: Sequence[str | None],
        schema: ClassSchema,
        settings: TruthSettings,
        tissue: CoarseMask | None,
        recorded: CoarseMask | None = None,
    ) -> Self:
        """Determine the classes of shapes.

        Parameters
        ----------
        outlines_label : sequence of Polygon or MultiPolygon
            In the label frame, the later ones last.
        class_names : sequence of str or None
            Class of each shape. Every name is in the schema, or is the regions of interest's, or ends in an
            asterisk, by which QuPath marks shapes to be ignored.
        schema : ClassSchema
        settings : TruthSettings
        tissue : CoarseMask or None
            Where the tissue is; used if the settings say `rest_is_tissue`, and required without regions of
            interest. None, with these: everywhere.
        recorded : CoarseMask, optional
            Where the scanner recorded pixels.
        """
        painted: list[tuple[shapely.Geometry, int]] = []
        regions: list[shapely.Geometry] = []
        for outline, name in zip(outlines_label, class_names, strict=True):
            if settings.is_roi(name):
                regions.append(outline)
                continue
            index = None if name is None else schema.index_of(name)
            if index is None and is_region_class(name):
                continue
            painted.append((outline, IGNORE if index is None else index))
        rest = rest_index(schema, settings)
        # Glass is background, where that is the rest.
        everywhere = settings.roi_class is not None and rest == _index(schema, schema.background)
        return cls(
            shapes=Painting.of([outline for outline, _ in painted], [index for _, index in painted]),
            rest=rest,
            regions=None if settings.roi_class is None else Painting.of(regions, [rest] * len(regions)),
            tissue=tissue if settings.rest_is_tissue and not everywhere else None,
            recorded=recorded,
        )

    def read(self, rect: Rect, factor: int = 1) -> NDArray[np.uint8]:
        """Return the class indices of a rectangle, `IGNORE` where the class is unknown.

        Parameters
        ----------
        rect : Rect
            In pixels that cover `factor` x `factor` label pixels.
        factor : int
            More than 1 gives a coarser map, where each pixel has the class at its centre.

        Returns
        -------
        uint8 array, shape (rect.height, rect.width)
            A pixel's class does not depend on the rectangle it is read in.
        """
        classes = np.full((rect.height, rect.width), IGNORE, dtype=np.uint8)
        if self.regions is not None:
            self.regions.onto(classes, rect, factor)
        elif self.tissue is not None:
            classes[:] = self.rest
        if self.tissue is not None:
            classes[~self.tissue.at(rect, factor)] = IGNORE
        self.shapes.onto(classes, rect, factor)
        if self.recorded is not None:
            classes[~self.recorded.at(rect, factor)] = IGNORE
        return classes


def rest_index(schema: ClassSchema, settings: TruthSettings) -> int:
    """Return the class index of known pixels in no shape, `IGNORE` if there are none."""
    name = settings.rest
    if name is None and settings.roi_class is not None:
        name = schema.background
    index = _index(schema, name)
    return IGNORE if index is None else index


def _index(schema: ClassSchema, name: str | None) -> int | None:
    return None if name is None else schema.index_of(name)
