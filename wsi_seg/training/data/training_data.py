"""All data of a training: sources with known pixels, where which class lies, and what is kept out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.data.annotated_slides import LabelledSlide
from wsi_seg.data.sources import IGNORE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.data.sources import Source
    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.training.data.split import Split
    from wsi_seg.training.data.survey import Survey


@dataclass(frozen=True)
class TrainingData:
    """All data of a training.

    Attributes
    ----------
    schema : ClassSchema
    sources : tuple of Source
    surveys : tuple of Survey
        One for each source.
    split : Split
    mpp : float or None
        Micrometres per pixel of the sources, for slides.
    remarks : tuple of str
        What the user should know about the data.
    beyond : int
        Class index that a network learns for places outside the scanned fields: of the background, else of
        the rest, else `IGNORE`. There is no tissue there, but a network gives every pixel a class.
    read_from : tuple of str
        For each slide, the level that it is read from.
    """

    schema: ClassSchema
    sources: tuple[Source, ...]
    surveys: tuple[Survey, ...]
    split: Split
    mpp: float | None
    remarks: tuple[str, ...] = ()
    beyond: int = IGNORE
    read_from: tuple[str, ...] = ()

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Width and height of each source."""
        return tuple(source.size for source in self.sources)

    def training_pixels(self) -> NDArray[np.int64]:
        """Return the approximate number of pixels to train on, for each class."""
        surveys = (self.surveys[i].without(self.split.held_out[i]) for i in self.split.training)
        total = np.zeros(len(self.schema), np.int64)
        for survey in surveys:
            total += survey.pixels(len(self.schema))
        return total

    def validation_pixels(self) -> NDArray[np.int64]:
        """Return the approximate number of pixels to validate on, for each class."""
        total = np.zeros(len(self.schema), np.int64)
        for source, rect in self.split.validation:
            survey = self.surveys[source]
            counts = np.bincount(survey.within(rect).ravel(), minlength=IGNORE + 1)
            total += counts[: len(total)] * survey.stride**2
        return total


def outlines_drawn(data: TrainingData) -> NDArray[np.int64]:
    """Count the outlines of each class that were drawn on slides.

    Returns
    -------
    int64 array, shape (classes,)
        Zero for all classes of images with masks.
    """
    counts = np.zeros(IGNORE + 1, np.int64)
    for source in data.sources:
        if isinstance(source, LabelledSlide):
            counts += np.bincount(source.truth.shapes.outlines, minlength=IGNORE + 1)
    return counts[: len(data.schema)]


def lacking(data: TrainingData) -> list[str]:
    """List the classes that cannot be learned, and those that cannot be validated."""
    trained, kept_out = data.training_pixels(), data.validation_pixels()
    drawn = outlines_drawn(data)
    hidden = (drawn > 0) & (trained == 0) & (kept_out == 0)
    lines = [
        f"{c.name}: no pixels to train on, so not learned, though it is outlined: its outlines lie under "
        "smaller ones, which count, or where nothing was scanned, or are too small"
        for c, is_hidden in zip(data.schema.classes, hidden, strict=True)
        if is_hidden
    ]
    for pixels, what in (
        (trained, "no pixels to train on, so not learned"),
        (kept_out, "no pixels to validate on, so not scored"),
    ):
        absent = [
            c.name
            for c, count, told in zip(data.schema.classes, pixels, hidden, strict=True)
            if count == 0 and not told
        ]
        if absent:
            lines.append(f"{', '.join(absent)}: {what}")
    return lines
