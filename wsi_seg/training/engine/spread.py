"""How far a score might have come out otherwise, had other places been kept out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.evaluation.metrics import share
from wsi_seg.training.report.limits import Range, Ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DRAWS = 1000
PERCENTILES = (5, 95)
FEWEST = 5
"""Places that must show a class for a range; from fewer it would be too narrow."""


@dataclass(frozen=True)
class Places:
    """What was found in each place that was kept out.

    Attributes
    ----------
    counts : int64 array, shape (places, classes, classes + 1)
        Pixels of each tile or image, as `wsi_seg.evaluation.metrics.Confusion` counts them.
    sources : sequence of int
        Which slide or image each is from.
    unit : str
        What the places are, such as "tiles".
    """

    counts: NDArray[np.int64]
    sources: Sequence[int]
    unit: str

    def ranges(self, seed: int = 0) -> Ranges:
        """Draw places again and again, with repetition, and see how far IoU scatters.

        Where five slides or more were kept out, whole slides are drawn; else tiles or images.
        """
        numbers, group = np.unique(np.asarray(self.sources), return_inverse=True)
        whole = len(numbers) >= FEWEST and self.unit != "images"
        counts = self.counts
        if whole:
            counts = np.zeros((len(numbers), *self.counts.shape[1:]), np.int64)
            np.add.at(counts, group, self.counts)
        unit = "slides" if whole else self.unit
        true_in = (counts.sum(axis=2) > 0).sum(axis=0)
        if not (true_in >= FEWEST).any():
            return Ranges(None, (None,) * counts.shape[1], len(counts), unit)
        drawn = np.random.default_rng(seed).multinomial(
            len(counts), np.full(len(counts), 1 / len(counts)), DRAWS
        )
        iou = _iou(np.tensordot(drawn, counts, axes=1))
        classes = tuple(
            _range(iou[:, index]) if enough else None for index, enough in enumerate(true_in >= FEWEST)
        )
        there = true_in > 0
        mean = _range(np.nanmean(iou[:, there], axis=1)) if (true_in[there] >= FEWEST).all() else None
        return Ranges(mean, classes, len(counts), unit)


def _iou(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the IoU of each class in each draw, shape (draws, classes)."""
    hits = np.diagonal(counts, axis1=1, axis2=2)
    return share(hits, counts.sum(axis=2) + counts[:, :, :-1].sum(axis=1) - hits)


def _range(values: NDArray[np.float64]) -> Range:
    low, high = np.nanpercentile(values, PERCENTILES)
    return float(low), float(high)
