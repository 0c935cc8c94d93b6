"""One region of a slide: read it, segment its patches, keep their cores.

A region's labels depend on the slide, the model and the settings alone, not on other regions: cores do not
overlap, halos are read again, and pixels outside the frame are mirrored from inside it.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np

from wsi_seg.inference.fast.windows import CELL, Windows, grown, in_cells
from wsi_seg.inference.network.pool import LANES
from wsi_seg.models.classes import UNPROCESSED_ID
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsi_seg.inference.network.pool import SegmenterPool
    from wsi_seg.inference.network.segmenter import Segmenter
    from wsi_seg.inference.stream.extent import Extent
    from wsi_seg.slides.frames import Frames
    from wsi_seg.slides.lattice import Lattice, Patch, Region
    from wsi_seg.slides.restain import Restaining
    from wsi_seg.slides.slide import SlidePixels
    from wsi_seg.slides.tissue import TissueMask


class PixelSource(Protocol):
    """The source of a region's pixels: a `Slide`, or an image in memory."""

    def read(self, rect: Rect, frames: Frames) -> SlidePixels:
        """Read a rectangle of the label frame."""
        ...


Source = TypeVar("Source", bound=PixelSource, covariant=True)


@dataclass(frozen=True)
class RegionPixels:
    """A segmented region.

    Attributes
    ----------
    labels : uint8 array, shape of the region's `label_rect`
        Class ids, `OUTSIDE_ID` and `UNPROCESSED_ID`.
    confidence : uint8 array of the same shape, or None
    unreadable : tuple of Rect
        Tiles of the file that could not be decoded, in label pixels. Each has pixels in this region that
        should have been segmented, and may reach outside of it.
    patches : int
        Number of patches that were segmented.
    seconds : dict
        Time spent on "read" and "model".
    """

    labels: NDArray[np.uint8]
    confidence: NDArray[np.uint8] | None
    unreadable: tuple[Rect, ...] = ()
    patches: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RegionSegmenter(Generic[Source]):
    """Segments regions of one slide.

    Attributes
    ----------
    slide : PixelSource
    frames : Frames
    extent : Extent
        Which pixels are segmented.
    segmenter : Segmenter or SegmenterPool
    batch_size : int
        Number of patches that go through the network together. The last batch of a region is padded, so that
        the network always computes on the same shape, and so in the same way.
    confidence : bool
    restain : Restaining or None
        What is done to the pixels before the network sees them.
    """

    slide: Source
    frames: Frames
    extent: Extent
    segmenter: Segmenter | SegmenterPool
    batch_size: int
    confidence: bool
    restain: Restaining | None = None

    def __call__(self, region: Region) -> RegionPixels:
        """Segment one region.

        Raises
        ------
        SlideError
            If the slide can no longer be opened.
        DeviceError
            If the device runs out of memory.
        """
        rect = region.label_rect
        labels, analysed = self.extent.at(rect)
        confidence = np.zeros_like(labels) if self.confidence else None
        active = [p for p in region.patches() if analysed[p.core.relative_to(rect).slices].any()]
        if not active:
            return RegionPixels(labels, confidence)

        begin = time.perf_counter()
        field_rect = self._field(active)
        pixels = self.slide.read(field_rect, self.frames)
        rgb = pixels.rgb if self.restain is None else self.restain(pixels.rgb)
        read_seconds = time.perf_counter() - begin

        begin = time.perf_counter()
        found = RegionPixels(np.empty_like(labels), confidence)
        windows = self._windows(region, active, analysed) if self.segmenter.windowed else None
        groups = [active[i : i + self.batch_size] for i in range(0, len(active), self.batch_size)]
        with ThreadPoolExecutor(LANES, thread_name_prefix="patches") as pool:
            for _ in pool.map(lambda g: self._segment(g, rgb, field_rect, found, rect, windows), groups):
                pass
        seconds = {"read": read_seconds, "model": time.perf_counter() - begin}

        unreadable = []
        for tile in pixels.unreadable:
            window = tile.intersection(rect).relative_to(rect).slices
            found.labels[window] = UNPROCESSED_ID
            if analysed[window].any():
                unreadable.append(tile)
        np.copyto(labels, found.labels, where=analysed)
        if confidence is not None:
            confidence[~analysed | (labels == UNPROCESSED_ID)] = 0
        return RegionPixels(labels, confidence, tuple(unreadable), len(active), seconds)

    def _field(self, patches: Sequence[Patch]) -> Rect:
        """Return the part of the label frame that the patches cover."""
        width, height = self.frames.label_size
        rows = np.concatenate([mirrored(p.rect.y0, p.rect.y1, height) for p in patches])
        columns = np.concatenate([mirrored(p.rect.x0, p.rect.x1, width) for p in patches])
        return Rect(int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)

    def _windows(
        self, region: Region, patches: Sequence[Patch], analysed: NDArray[np.bool_]
    ) -> dict[Patch, Windows]:
        """Return, for each patch, where its class is wanted and what the network looks at."""
        found = {}
        for patch in patches:
            core = patch.core.relative_to(patch.rect)
            wanted = np.zeros((patch.rect.height, patch.rect.width), dtype=np.bool_)
            wanted[core.slices] = analysed[patch.core.relative_to(region.label_rect).slices]
            seen = looked_at(patch, region.lattice, self.extent.tissue)
            found[patch] = Windows(in_cells(wanted), seen)
        return found

    def _segment(
        self,
        group: Sequence[Patch],
        rgb: NDArray[np.uint8],
        field_rect: Rect,
        found: RegionPixels,
        rect: Rect,
        windows: dict[Patch, Windows] | None,
    ) -> None:
        """Run one batch and put its cores into the arrays of `found`."""
        batch = self._batch(group, rgb, field_rect)
        halo = group[0].core.x0 - group[0].rect.x0
        asked = None
        if windows is not None:
            asked = [windows[patch] for patch in group]
            asked += [asked[0].emptied()] * (self.batch_size - len(group))
        cores = self.segmenter(batch, margin=halo, confidence=found.confidence is not None, windows=asked)
        for i, patch in enumerate(group):
            window = patch.core.relative_to(rect).slices
            found.labels[window] = cores.labels[i, : patch.core.height, : patch.core.width]
            if found.confidence is not None and cores.confidence is not None:
                found.confidence[window] = cores.confidence[i, : patch.core.height, : patch.core.width]

    def _batch(self, group: Sequence[Patch], rgb: NDArray[np.uint8], field_rect: Rect) -> NDArray[np.uint8]:
        """Return the pixels of patches, mirrored at the slide's edges, as one batch."""
        if self.batch_size == 1 and group[0].rect == field_rect:
            return rgb[None]  # all that was read
        width, height = self.frames.label_size
        side = group[0].rect.width
        batch = np.zeros((self.batch_size, side, side, 3), dtype=np.uint8)
        for i, patch in enumerate(group):
            rows = mirrored(patch.rect.y0, patch.rect.y1, height) - field_rect.y0
            columns = mirrored(patch.rect.x0, patch.rect.x1, width) - field_rect.x0
            # Nothing is clipped here; this mode lets numpy write directly into the output.
            rgb.take(rows, axis=0).take(columns, axis=1, out=batch[i], mode="clip")
        return batch


def looked_at(patch: Patch, lattice: Lattice, tissue: TissueMask | None) -> NDArray[np.bool_]:
    """Return the cells of a patch that the network looks at: those that lie near tissue.

    This depends on the tissue alone, not on what else is asked for: a region of interest has the labels that
    a run on the whole slide gives it.
    """
    count = -(-patch.rect.width // CELL)
    if lattice.around_tissue is None or tissue is None:
        return np.ones((count, count), dtype=np.bool_)
    y, x = (
        mirrored(start, stop, size) // CELL
        for start, stop, size in (
            (patch.rect.y0, patch.rect.y1, lattice.height),
            (patch.rect.x0, patch.rect.x1, lattice.width),
        )
    )
    part = Rect(int(y.min()), int(x.min()), int(y.max()) + 1, int(x.max()) + 1)
    holds = tissue.cells(part, CELL)
    # Where the edge is in the middle of a cell, the mirrored pixels lie in two.
    for axis, cells in enumerate((y - part.y0, x - part.x0)):
        holds = holds.take(cells[::CELL], axis=axis) | holds.take(cells[CELL - 1 :: CELL], axis=axis)
    return grown(holds, -(-lattice.around_tissue // CELL))


def mirrored(start: int, stop: int, size: int) -> NDArray[np.intp]:
    """Return the indices ``start`` to ``stop``; those outside ``0 .. size`` are mirrored at the edge pixels.

    The edge pixel itself is not repeated. Indices are mirrored several times if necessary.
    """
    if size == 1:
        return np.zeros(stop - start, dtype=np.intp)
    period = 2 * (size - 1)
    index = np.arange(start, stop) % period
    return np.minimum(index, period - index)
