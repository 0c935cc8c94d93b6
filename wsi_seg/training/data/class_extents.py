"""How much of each class is trained on, how much is kept out, and whether that is enough to tell.

A score of a class is a mean over the places where the class was kept out. From place to place the IoU of a
network scatters by about `SCATTER`: some lesions are found whole, others hardly. The mean over n independent
places therefore has a standard error of about ``SCATTER / sqrt(n)``: 0.25 for one place, 0.11 for five. With
fewer than five, a difference of a tenth between two scores says nothing, and the weights that look best are
best by chance.

Nor do specks tell: a piece of 0.01 mm2 is 110 um across, and a border that is moved by one pixel of 2 um
takes 7 % of it. So five pieces of that size are the least.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wsi_seg.data.annotated_slides import LabelledSlide
from wsi_seg.training.data.training_data import outlines_drawn
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.slides.lattice import Rect
    from wsi_seg.training.data.survey import Survey
    from wsi_seg.training.data.training_data import TrainingData

SCATTER = 0.25
"""Standard deviation of a class's IoU from place to place, roughly."""

ENOUGH_PIECES = 5
ENOUGH_MM2 = 0.05

LEAST_PIECE_MM2 = 0.001
"""A smaller piece is a sliver that the border of a block cut off: it is 36 um across."""

LARGE_MM2 = 1.0
"""A large piece is more than one place: it counts once for each full square millimetre."""

TOUCHING = np.ones((3, 3), np.bool_)
"""Pixels that touch at a corner belong to one piece."""


@dataclass(frozen=True)
class ClassExtent:
    """How much there is of a class.

    Attributes
    ----------
    name : str
    outlines : int or None
        Outlines that were drawn of it; None for images with masks.
    trained_pixels, kept_out_pixels : int
        About how many label pixels are trained on, and kept out; none is kept out if it is trained on too.
    pixel_mm2 : float or None
        Area of a pixel; None where the resolution is not known.
    pieces : int
        Independent places among what is kept out: pieces that do not touch, a large one once for each full
        square millimetre; of images, those that show the class.
    unseen : bool
        Whether training sees nothing of what is scored.
    """

    name: str
    outlines: int | None
    trained_pixels: int
    kept_out_pixels: int
    pixel_mm2: float | None
    pieces: int
    unseen: bool = True

    @property
    def trained_mm2(self) -> float | None:
        """Area that is trained on."""
        return None if self.pixel_mm2 is None else self.trained_pixels * self.pixel_mm2

    @property
    def kept_out_mm2(self) -> float | None:
        """Area that is kept out."""
        return None if self.pixel_mm2 is None else self.kept_out_pixels * self.pixel_mm2

    @property
    def there(self) -> bool:
        """Whether the data hold any of it."""
        return self.trained_pixels > 0 or self.kept_out_pixels > 0

    @property
    def doubt(self) -> str | None:
        """Why a score of this class cannot be trusted; None if it can."""
        area = self.kept_out_mm2
        if not self.there:
            return "the data hold none of it"
        if not self.unseen:
            return "scored on what was trained on"
        if not self.trained_pixels:
            return "not trained on"
        if not self.kept_out_pixels:
            return "none of it kept out"
        if self.pieces < ENOUGH_PIECES:
            return f"{counted(self.pieces, self.unit)} kept out, {ENOUGH_PIECES} needed"
        if area is not None and area < ENOUGH_MM2:
            return f"{area:.2g} mm2 kept out, {ENOUGH_MM2:g} needed"
        return None

    @property
    def unit(self) -> str:
        """What `pieces` counts."""
        return "images" if self.outlines is None else "pieces"


def extents(data: TrainingData) -> tuple[ClassExtent, ...]:
    """Measure how much there is of each class of the schema."""
    trained, kept_out = data.training_pixels(), data.validation_pixels()
    slides = all(isinstance(source, LabelledSlide) for source in data.sources)
    outlines, pieces = outlines_drawn(data), _pieces(data)
    if not data.split.unseen:
        kept_out, pieces = np.zeros_like(kept_out), np.zeros_like(pieces)
    return tuple(
        ClassExtent(
            name=c.name,
            outlines=int(outlines[i]) if slides else None,
            trained_pixels=int(trained[i]),
            kept_out_pixels=int(kept_out[i]),
            pixel_mm2=None if data.mpp is None else data.mpp**2 / 1e6,
            pieces=int(pieces[i]),
            unseen=data.split.unseen,
        )
        for i, c in enumerate(data.schema.classes)
    )


def can_tell(classes: tuple[ClassExtent, ...]) -> bool:
    """Return whether validations can tell better weights from worse: no class that is there is in doubt."""
    return all(each.doubt is None for each in classes if each.there)


def tells_nothing(classes: tuple[ClassExtent, ...]) -> bool:
    """Return whether the scores of all classes that are there are in doubt."""
    return all(each.doubt is not None for each in classes if each.there)


def _pieces(data: TrainingData) -> NDArray[np.int64]:
    """Count the independent places of each class among what is kept out."""
    pieces = np.zeros(len(data.schema), np.int64)
    rects: dict[int, list[Rect]] = {}
    for number, rect in data.split.validation:
        rects.setdefault(number, []).append(rect)
    for number, kept_out in rects.items():
        survey = data.surveys[number].only(kept_out)
        if isinstance(data.sources[number], LabelledSlide):
            assert data.mpp is not None  # slides have a resolution
            cell_mm2 = (survey.stride * data.mpp) ** 2 / 1e6
            pieces += [_places(survey, index, cell_mm2) for index in range(len(pieces))]
        else:
            pieces += survey.pixels(len(pieces)) > 0
    return pieces


def _places(survey: Survey, class_index: int, cell_mm2: float) -> int:
    """Count the places that a class has in a survey."""
    found = survey.cells == class_index
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    if not len(rows):
        return 0
    part = found[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    labels, _ = ndimage.label(part, TOUCHING)
    areas = np.bincount(labels.ravel())[1:] * cell_mm2
    areas = areas[areas >= LEAST_PIECE_MM2]
    return int(np.maximum(1, areas // LARGE_MM2).sum())
