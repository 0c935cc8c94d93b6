"""Write a result's OME-Zarr: its label images region by region, then their coarser levels, and the overview.

``slide.ome.zarr/`` is the overview, an RGB image; ``labels/tissue`` inside it is the label pyramid, whose
level 0 is the label frame; ``labels/confidence`` may be beside it.

The bytes depend on the pixels alone, not on who wrote them, when, in which order or how often: a chunk of
nothing but the fill value has no bytes and a shard of such chunks no file, so that a region never written
and one written as unprocessed are the same. Distinct regions are distinct files and can be written from any
threads or processes at once.
"""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from wsi_seg.errors import OutputError, UsageError
from wsi_seg.files import writing
from wsi_seg.models.classes import UNPROCESSED_ID
from wsi_seg.outputs.ngff import (
    CONFIDENCE,
    OVERVIEW,
    TISSUE,
    WSI_SEG,
    confidence_attributes,
    labels_attributes,
    overview_attributes,
    tissue_attributes,
)
from wsi_seg.outputs.storage import array_to_read, array_to_write, create_array, reading
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.outputs.ngff import JsonObject, PyramidLayout

    Halve = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@dataclass(frozen=True)
class PyramidWriter:
    """Writes one result; nothing but a path and a layout, so workers get it by value.

    Parameters
    ----------
    path : Path
        The result's folder, ``.../slide.ome.zarr``.
    layout : PyramidLayout
        The shape of its arrays: the one it was created with.
    """

    path: Path
    layout: PyramidLayout

    def create(self, attributes: JsonObject) -> None:
        """Make the result with all its metadata and no pixels: whole, or not at all.

        Parameters
        ----------
        attributes : dict
            What else belongs to the labels (model, settings, versions); JSON-able. It is kept in the
            attribute ``wsi_seg`` of `labels/tissue`, next to ``frames`` and ``schema``.

        Raises
        ------
        OutputError
            If the folder is there already, or cannot be written.
        """
        if self.path.exists():
            raise OutputError(f"{self.path}: is there already: remove it, or name another output folder")
        layout = self.layout
        name = self.path.name.removesuffix(".zarr").removesuffix(".ome")
        own = {
            **attributes,
            "frames": layout.frames.model_dump(mode="json"),
            "schema": layout.schema.model_dump(mode="json"),
        }
        groups = {
            OVERVIEW: overview_attributes(layout, name),
            "labels": labels_attributes(layout),
            TISSUE: {**tissue_attributes(layout), WSI_SEG: own},
        }
        if layout.confidence:
            groups[CONFIDENCE] = confidence_attributes(layout)

        unfinished = self.path.with_name(f".{self.path.name}.partial")
        with writing(self.path):
            if unfinished.exists():
                shutil.rmtree(unfinished)
            for group, content in groups.items():
                zarr.create_group(unfinished / group, zarr_format=layout.zarr_format, attributes=content)
            for level in range(layout.levels):
                create_array(unfinished / str(level), layout, layout.overview_shape(level), fill_value=0)
                for image in layout.label_images:
                    fill_value = UNPROCESSED_ID if image == TISSUE else 0
                    create_array(
                        unfinished / image / str(level), layout, layout.label_shape(level), fill_value
                    )
            unfinished.rename(self.path)

    def write_region(
        self, rect: Rect, labels: NDArray[np.uint8], confidence: NDArray[np.uint8] | None = None
    ) -> None:
        """Write one region, which is one shard, over whatever was there.

        Parameters
        ----------
        rect : Rect
            The region's `label_rect`.
        labels : array of uint8, shape (rect.height, rect.width)
            Label values.
        confidence : array of uint8, shape (rect.height, rect.width), optional
            Given if, and only if, the layout has a confidence image.

        Raises
        ------
        UsageError
            If `rect` is not a whole region of the layout, or the arrays do not fit it.
        OutputError
            If the files cannot be written.
        """
        height, width = self.layout.label_shape(0)
        side = self.layout.region
        whole = Rect(rect.y0, rect.x0, rect.y0 + side, rect.x0 + side).clipped(width, height)
        if rect.y0 % side or rect.x0 % side or rect != whole:
            raise UsageError(f"{rect} is not a region of {side} pixels in {width} x {height}")
        if (confidence is not None) != self.layout.confidence:
            raise UsageError("confidence is written if, and only if, the layout has it")
        images = {TISSUE: labels} if confidence is None else {TISSUE: labels, CONFIDENCE: confidence}
        for pixels in images.values():
            _check(pixels, (rect.height, rect.width))
        with writing(self.path):
            for image, pixels in images.items():
                array_to_write(self.path / image / "0")[rect.slices] = pixels

    def write_overview(self, rgb: NDArray[np.uint8]) -> None:
        """Write the overview and its coarser levels, each by the rounded mean of 2 x 2 pixels.

        Parameters
        ----------
        rgb : array of uint8, shape (height, width, 3)
            The slide over the label frame, one pixel for ``2**overview_level`` label pixels each way.

        Raises
        ------
        UsageError
            If the array is not of the layout's size.
        OutputError
            If the files cannot be written.
        """
        channels, height, width = self.layout.overview_shape(0)
        _check(rgb, (height, width, channels))
        planes = np.moveaxis(rgb, -1, 0)
        with writing(self.path):
            for level in range(self.layout.levels):
                array_to_write(self.path / str(level))[:] = planes
                planes = halve_mean(planes)

    def build_levels(self, workers: int) -> None:
        """Make the coarser levels of the label images, each from the one below, shard by shard.

        Call it when all regions and the overview are written, and nobody writes any more. It can be killed
        and called again. Memory: about six bytes a pixel of one region for each of `workers` threads.

        Raises
        ------
        OutputError
            If a region's file is damaged, or the files cannot be written.
        """
        with writing(self.path), ThreadPoolExecutor(workers, thread_name_prefix="pyramid") as pool:
            for stray in self.path.rglob("*.partial"):
                stray.unlink()
            for image in self.layout.label_images:
                halve = halve_labels if image == TISSUE else halve_mean
                for level in range(1, self.layout.levels):
                    source = array_to_read(self.path / image / str(level - 1))
                    target = array_to_write(self.path / image / str(level))
                    reduce = partial(self._reduce_shard, source, target, halve)
                    for _ in pool.map(reduce, self._shards(level)):
                        pass

    def _shards(self, level: int) -> Iterator[Rect]:
        """Yield the rectangles of a level's shards, row by row, in that level's pixels."""
        height, width = self.layout.label_shape(level)
        side = self.layout.region
        for y0 in range(0, height, side):
            for x0 in range(0, width, side):
                yield Rect(y0, x0, y0 + side, x0 + side).clipped(width, height)

    def _reduce_shard(
        self, source: zarr.Array[Any], target: zarr.Array[Any], halve: Halve, rect: Rect
    ) -> None:
        """Write one shard of `target` from the (at most) four shards of `source` that lie under it."""
        height, width = source.shape
        side = self.layout.region
        reduced = np.empty((rect.height, rect.width), dtype=np.uint8)
        for y0 in range(2 * rect.y0, min(2 * rect.y1, height), side):
            for x0 in range(2 * rect.x0, min(2 * rect.x1, width), side):
                under = Rect(y0, x0, y0 + side, x0 + side).clipped(width, height)
                with reading(self.path):
                    quarter = halve(np.asarray(source[under.slices]))
                top, left = y0 // 2 - rect.y0, x0 // 2 - rect.x0
                reduced[top : top + quarter.shape[0], left : left + quarter.shape[1]] = quarter
        target[rect.slices] = reduced


def halve_labels(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halve a label image: of each 2 x 2 pixels the most frequent value, never one between.

    Of values that are equally frequent the first in reading order wins. Where the height or width is odd,
    the last row or column is repeated. Shape (..., h, w) gives (..., ceil(h / 2), ceil(w / 2)).
    """
    a, b, c, d = _quartets(labels)
    rest = np.where((b == c) | (b == d), b, np.where(c == d, c, a))
    return np.where((a == b) | (a == c) | (a == d), a, rest)


def halve_mean(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halve an image by the mean of each 2 x 2 pixels, halves rounded up; odd edges as in `halve_labels`."""
    a, b, c, d = (quarter.astype(np.uint16) for quarter in _quartets(values))
    return ((a + b + c + d + 2) // 4).astype(np.uint8)


def _quartets(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    """Return the four pixels of every 2 x 2 block, in reading order, as four arrays."""
    height, width = image.shape[-2:]
    if height % 2 or width % 2:
        planes = [(0, 0)] * (image.ndim - 2)
        image = np.pad(image, [*planes, (0, height % 2), (0, width % 2)], mode="edge")
    return tuple(image[..., y::2, x::2] for y in (0, 1) for x in (0, 1))


def _check(pixels: NDArray[np.uint8], shape: tuple[int, ...]) -> None:
    if pixels.shape != shape or pixels.dtype != np.uint8:
        raise UsageError(f"an array of {pixels.dtype}, shape {pixels.shape}, is not uint8 of shape {shape}")
