"""Where each frame of a sparse segmentation lies, and what it is of."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np
from highdicom import PlanePositionSequence
from pydicom import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


class Places:
    """Segment and place of the frames of an image, in the order in which they are added.

    Parameters
    ----------
    origin, per_column, per_row : float64 array, shape (3,)
        Where the total pixel matrix begins in the frame of reference, and how far it is from there to the
        next column and to the next row, in mm.
    """

    def __init__(self, origin: Vector, per_column: Vector, per_row: Vector) -> None:
        self._origin, self._per_column, self._per_row = origin, per_column, per_row
        self._frames = array("I")

    @classmethod
    def of(cls, head: Dataset) -> Places:
        """Return those of an image, as yet none; what its statements hold of them is taken out there."""
        del head.PerFrameFunctionalGroupsSequence
        # Of a single segment, highdicom states the number once for all frames.
        head.SharedFunctionalGroupsSequence[0].pop("SegmentIdentificationSequence", None)
        first = head.TotalPixelMatrixOriginSequence[0]
        origin = [float(first[f"{axis}OffsetInSlideCoordinateSystem"].value) for axis in "XYZ"]
        along_columns, along_rows = np.array(head.ImageOrientationSlide, dtype=np.float64).reshape(2, 3)
        measures = head.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        row_mm, column_mm = map(float, measures.PixelSpacing)
        return cls(np.array(origin), along_columns * column_mm, along_rows * row_mm)

    def add(self, number: int, row: int, column: int) -> None:
        """Append a frame.

        Parameters
        ----------
        number : int
            Of its segment.
        row, column : int
            Of its first pixel, from 0.
        """
        self._frames.extend((number, row, column))

    def items(self) -> Iterator[Dataset]:
        """Yield what each frame states of itself."""
        frames = np.frombuffer(self._frames, dtype=np.uint32).reshape(-1, 3)
        rows, columns = np.unique(frames[:, 1]), np.unique(frames[:, 2])
        for number, row, column in frames.tolist():
            content, segment, item = Dataset(), Dataset(), Dataset()
            content.DimensionIndexValues = [
                number,
                int(np.searchsorted(rows, row)) + 1,
                int(np.searchsorted(columns, column)) + 1,
            ]
            segment.ReferencedSegmentNumber = number
            place = self._origin + column * self._per_column + row * self._per_row
            item.FrameContentSequence = [content]
            item.PlanePositionSlideSequence = PlanePositionSequence("SLIDE", place, (column + 1, row + 1))
            item.DerivationImageSequence = []
            item.SegmentIdentificationSequence = [segment]
            yield item
