"""Scores away from outlines: near one, the class of a pixel is a matter of the hand that drew it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.annotations.near_edges import near_edges

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from pydantic import JsonValue

    from wsi_seg.data.truth import SlideTruth
    from wsi_seg.evaluation.metrics import Confusion
    from wsi_seg.slides.lattice import Rect

NEAR_UM = 20.0
"""What is no further from an outline is near it. On lesions that a network had not seen, most errors lie
there: benchmarks/results/leave-one-out.md."""


def near_outlines(truth: SlideTruth, label_mpp: Sequence[float]) -> Callable[[Rect], NDArray[np.bool_]]:
    """Return what tells which pixels of a rectangle, in label pixels, lie near an outline.

    Parameters
    ----------
    truth : SlideTruth
        Its regions of interest do not count: nobody outlined tissue by them.
    label_mpp : sequence of float
        Micrometres per label pixel along x and y.
    """
    distance = NEAR_UM / (sum(label_mpp) / len(label_mpp))
    return lambda rect: near_edges(truth.shapes, rect, distance)


@dataclass(frozen=True, eq=False)
class Away:
    """Scores of the pixels that are not near an outline, beside all.

    Attributes
    ----------
    every : Confusion
        Of all pixels.
    away : Confusion
        Of those that are not near an outline.
    """

    every: Confusion
    away: Confusion

    @property
    def nearer(self) -> float:
        """Share of the wrong pixels that lie near an outline; NaN if none is wrong."""
        wrong, far = (each.pixels - int(each.hits.sum()) for each in (self.every, self.away))
        return 1 - far / wrong if wrong else math.nan

    def __str__(self) -> str:
        """Say how good the labels are where no hand that outlined can have erred."""
        share = self.away.pixels / self.every.pixels
        left, classes = int(self.away.present.sum()), int(self.every.present.sum())
        over = (
            "" if left == classes else f" (over {left} of {classes} classes, as none is left of the others)"
        )
        text = (
            f"more than {NEAR_UM:g} um from any outline: mean IoU {self.away.mean_iou:.4f}{over}, pixel "
            f"accuracy {self.away.pixel_accuracy:.4f}, on {share:.0%} of the pixels"
        )
        return (
            text if math.isnan(self.nearer) else f"{text}; {self.nearer:.0%} of the wrong pixels lie nearer"
        )

    def as_json(self) -> dict[str, JsonValue]:
        """Return the scores for programs; null stands for what does not exist."""
        iou = self.away.iou.tolist()
        return {
            "um": NEAR_UM,
            "pixels": self.away.pixels,
            "mean_iou": self.away.mean_iou,
            "pixel_accuracy": self.away.pixel_accuracy,
            "iou": [None if math.isnan(value) else value for value in iou],
            "wrong_pixels_nearer": None if math.isnan(self.nearer) else self.nearer,
        }


def away_from_outlines(every: Confusion, away: Confusion) -> Away | None:
    """Put scores side by side; None if no pixel is known that is not near an outline."""
    return Away(every, away) if away.pixels else None
