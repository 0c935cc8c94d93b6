"""What an overview shows: the slide, its classes, and what is to be said of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.errors import UsageError
from wsi_seg.models.classes import UNPROCESSED_ID

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.results.summary import ClassSummary


@dataclass(frozen=True)
class Scene:
    """What there is to see.

    Attributes
    ----------
    rgb : array of uint8, shape (h, w, 3)
        The slide.
    labels : array of uint8, shape (h, w)
        Label values of the same pixels.
    pixel_um : (float, float)
        Micrometres per pixel in x and y.
    schema : ClassSchema
        Names and colours of the label values.
    classes : tuple of ClassSummary
        Areas and shares for the legend; measured on all pixels, not on these few.
    unprocessed_mm2 : float
        Area that could not be analysed.
    slide, model : str
        Names for the heading.
    notices : tuple of str
        What every reader must know before the result is trusted.
    tissue : array of bool, shape (h, w), optional
        Where tissue was found.
    """

    rgb: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    pixel_um: tuple[float, float]
    schema: ClassSchema
    classes: tuple[ClassSummary, ...]
    unprocessed_mm2: float
    slide: str
    model: str
    notices: tuple[str, ...] = ()
    tissue: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        for pixels in (self.labels, self.tissue):
            if pixels is not None and pixels.shape != self.rgb.shape[:2]:
                raise UsageError(f"an array of shape {pixels.shape} does not lie on {self.rgb.shape[:2]}")

    @property
    def found(self) -> tuple[ClassSummary, ...]:
        """The classes that the legend lists, the largest first; the background is not painted."""
        painted = (c for c in self.classes if c.mm2 > 0 and c.id != self.schema.background_id)
        return tuple(sorted(painted, key=lambda c: -c.mm2))

    @property
    def absent(self) -> tuple[str, ...]:
        """Names of the classes that were looked for and not found."""
        return tuple(c.name for c in self.classes if c.mm2 == 0 and c.id != self.schema.background_id)

    @property
    def classified_mm2(self) -> float:
        """Area of all classes but the background."""
        return sum(c.mm2 for c in self.found)

    @property
    def emptiness(self) -> str | None:
        """What to say when there is no class to see."""
        if self.found:
            return None
        if (self.labels == UNPROCESSED_ID).all():
            return "Nothing could be analysed"
        if self.tissue is not None and not self.tissue.any():
            return "No tissue was found"
        background = self.schema.background
        return "No class was found" if background is None else f"Nothing but {background} was found"
