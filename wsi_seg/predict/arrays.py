"""An image in memory, segmented as a slide is: in the same patches, mirrored at its edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.inference.stream.extent import Extent
from wsi_seg.inference.stream.region import RegionSegmenter
from wsi_seg.predict.sizes import lay_out
from wsi_seg.slides.frames import Bounds, Frames
from wsi_seg.slides.slide import SlidePixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.inference.network.pool import SegmenterPool
    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.settings import LabelSettings
    from wsi_seg.slides.lattice import Rect


@dataclass(frozen=True)
class ArrayPixels:
    """An image of shape (height, width, 3) as a `PixelSource` whose label frame is the image itself."""

    rgb: NDArray[np.uint8]

    def read(self, rect: Rect, frames: Frames) -> SlidePixels:
        """Return a rectangle; of an array every pixel is there."""
        return SlidePixels(self.rgb[rect.slices], np.ones((rect.height, rect.width), dtype=bool))


def label_array(
    rgb: NDArray[np.uint8],
    segmenter: SegmenterPool,
    bundle: ModelBundle,
    labels: LabelSettings,
    device: str,
) -> NDArray[np.uint8]:
    """Segment an image at the model's resolution as `predict` segments a slide without tissue mask.

    Parameters
    ----------
    rgb : uint8 array, shape (height, width, 3)
    segmenter : SegmenterPool
    bundle : ModelBundle
        The model that the segmenter runs.
    labels : LabelSettings
        Patch, overlap and batch size.
    device : str

    Returns
    -------
    uint8 array, shape (height, width)
        Class ids.

    Raises
    ------
    UsageError
        If sizes do not fit together.
    DeviceError
        If the device runs out of memory.
    """
    height, width = rgb.shape[:2]
    lattice, batch_size = lay_out((width, height), labels, bundle, device, segmenter.choice.form)
    segment = RegionSegmenter(
        slide=ArrayPixels(rgb),
        frames=_own_frame(width, height),
        extent=Extent(None, None, bundle.schema.outside_id),
        segmenter=segmenter,
        batch_size=batch_size,
        confidence=False,
    )
    ids = np.empty((height, width), dtype=np.uint8)
    for region in lattice.regions():
        ids[region.label_rect.slices] = segment(region).labels
    return ids


def _own_frame(width: int, height: int) -> Frames:
    """Return the frame of an image that is a slide of its own; only its size is used."""
    bounds = Bounds(x=0, y=0, width=width, height=height)
    return Frames(bounds=bounds, slide_mpp=(1.0, 1.0), downsample=(1.0, 1.0), label_size=(width, height))
