"""How well labels agree with the truth, class by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wsi_seg.evaluation.metrics import Confusion


@dataclass(frozen=True)
class Scores:
    """Scores over a whole set. `wsi_seg.evaluate` and `wsi_seg.train` return them.

    NaN stands for undefined scores, such as the IoU of a class that is neither in the truth nor found.

    Attributes
    ----------
    classes : tuple of str
        Names of the truth's classes.
    counted : Confusion
        The confusion matrix from which the scores are computed.
    remarks : tuple of str
        What users should know about the model and the truth, a line each.
    table : str
        All scores as text, as `wsi-seg evaluate` prints them.
    counted_away : Confusion or None
        The same confusion matrix of the pixels that are more than 20 um from any outline; None if there are
        none, or nothing was outlined by hand.
    """

    classes: tuple[str, ...]
    counted: Confusion
    remarks: tuple[str, ...] = ()
    table: str = ""
    counted_away: Confusion | None = None

    def __repr__(self) -> str:
        return f"<wsi_seg scores: mean IoU {self.mean_iou:.3f} over {len(self.classes)} classes>"

    def __str__(self) -> str:
        return self.table or repr(self)

    @property
    def mean_iou(self) -> float:
        """Mean intersection over union, over the classes in the truth."""
        return self.counted.mean_iou

    @property
    def mean_dice(self) -> float:
        """Mean Dice coefficient, over the same classes."""
        return self.counted.mean_dice

    @property
    def pixel_accuracy(self) -> float:
        """Share of pixels whose class is right."""
        return self.counted.pixel_accuracy

    @property
    def iou(self) -> dict[str, float]:
        """Intersection over union of each class."""
        return self._by_class(self.counted.iou)

    @property
    def dice(self) -> dict[str, float]:
        """Dice coefficient (F1 score) of each class."""
        return self._by_class(self.counted.dice)

    @property
    def precision(self) -> dict[str, float]:
        """Share of each class's found pixels that are right."""
        return self._by_class(self.counted.precision)

    @property
    def recall(self) -> dict[str, float]:
        """Share of each class's true pixels that were found."""
        return self._by_class(self.counted.recall)

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Pixels by true class (row) and class found (column), in the order of `classes`.

        An additional last column counts pixels for which no class was found.
        """
        return self.counted.counts.copy()

    @property
    def pixels(self) -> int:
        """Pixels whose true class is known."""
        return self.counted.pixels

    def _by_class(self, values: NDArray[np.float64]) -> dict[str, float]:
        return dict(zip(self.classes, values.tolist(), strict=True))
