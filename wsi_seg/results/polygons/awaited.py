"""The labels of a running run, for reading while regions are still being written."""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

from wsi_seg.errors import OutputError
from wsi_seg.results.labels.read_labels import LabelPyramid

if TYPE_CHECKING:
    import numpy as np
    import zarr
    from numpy.typing import NDArray

    from wsi_seg.slides.lattice import Rect


class Arrivals:
    """The regions that are written so far.

    Parameters
    ----------
    side : int
        Side of a region in label pixels.
    """

    def __init__(self, side: int) -> None:
        self._side = side
        self._there: set[tuple[int, int]] = set()
        self._ended = False
        self._changed = threading.Condition()

    def add(self, rect: Rect) -> None:
        """Note that a region is written."""
        with self._changed:
            self._there.add((rect.y0, rect.x0))
            self._changed.notify_all()

    def end(self) -> None:
        """Note that no more regions will come: ends all waiting."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for(self, rect: Rect) -> None:
        """Wait until all regions that a rectangle, in label pixels, touches are written.

        Raises
        ------
        OutputError
            If the run ended without one of them.
        """
        side = self._side
        needed = {
            (y, x)
            for y in range(rect.y0 // side * side, rect.y1, side)
            for x in range(rect.x0 // side * side, rect.x1, side)
        }
        with self._changed:
            self._changed.wait_for(lambda: self._ended or needed <= self._there)
            if not needed <= self._there:
                raise OutputError("the run ended before all of its regions were written: run it again")


@dataclass(frozen=True)
class AwaitedLabels(LabelPyramid):
    """Label images whose finest level is still being written: a read waits for the regions that it needs.

    Attributes
    ----------
    arrivals : Arrivals
    """

    arrivals: Arrivals

    @classmethod
    def of(cls, labels: LabelPyramid, arrivals: Arrivals) -> Self:
        """Make awaited labels from labels that were opened before their pixels were written."""
        return cls(**{field.name: getattr(labels, field.name) for field in fields(labels)}, arrivals=arrivals)

    def _read(self, array: zarr.Array[Any], rect: Rect) -> NDArray[np.uint8]:
        self.arrivals.wait_for(rect)
        return super()._read(array, rect)
