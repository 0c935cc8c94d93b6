"""Which label pixels are segmented, and the label values of all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.annotations.raster import rasterise
from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely import MultiPolygon

    from wsi_seg.slides.lattice import Rect
    from wsi_seg.slides.tissue import TissueMask


@dataclass(frozen=True)
class Extent:
    """The part of a slide that is segmented.

    Attributes
    ----------
    tissue : TissueMask or None
        None stands for everywhere.
    roi_label : MultiPolygon or None
        Regions of interest in the label frame; None stands for everywhere.
    outside_tissue_id : int
        Label value of pixels that are in the region of interest but not in the tissue.
    """

    tissue: TissueMask | None
    roi_label: MultiPolygon | None
    outside_tissue_id: int

    def at(self, rect: Rect) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return the labels of a rectangle that are known before segmentation, and where to segment.

        Parameters
        ----------
        rect : Rect
            In label pixels.

        Returns
        -------
        labels : uint8 array, shape (height, width)
            Final values outside the analysed part; `UNPROCESSED_ID` inside.
        analysed : bool array of the same shape
        """
        labels = np.full((rect.height, rect.width), UNPROCESSED_ID, dtype=np.uint8)
        if self.tissue is not None:
            labels[~self.tissue.at(rect)] = self.outside_tissue_id
        if self.roi_label is not None:
            labels[~rasterise(self.roi_label, rect)] = OUTSIDE_ID
        return labels, labels == UNPROCESSED_ID
