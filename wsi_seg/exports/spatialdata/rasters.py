"""The labels of a store and the pictures that the result holds, shard by shard."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import zarr

from wsi_seg.errors import OutputError
from wsi_seg.exports.spatialdata.metadata import channels, class_labels, raster_attributes
from wsi_seg.files.digests import flush
from wsi_seg.models.classes import UNPROCESSED_ID
from wsi_seg.results.labels.ngff_attributes import PyramidLayout
from wsi_seg.results.labels.storage import (
    alike,
    array_to_read,
    array_to_write,
    create_array,
    reading,
)
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.exports.spatialdata.metadata import JsonObject
    from wsi_seg.results.labels.read_labels import LabelPyramid

    class Read(Protocol):
        """Reads a rectangle of a level."""

        def __call__(self, rect: Rect, level: int) -> NDArray[np.uint8]:
            """Return it, the channels first."""


SMALLEST = 256
"""Levels of a picture both of whose sides are smaller are left out."""

SHARD = 2048
"""About the side of a shard, for labels that were not written in any."""


@dataclass(frozen=True)
class Raster:
    """An image or labels, level by level.

    Attributes
    ----------
    group : str
        Its place in the store.
    axes : {"cyx", "yx"}
    shapes : tuple of tuple of int
        Of its levels.
    um : (float, float)
        Micrometres in x and y of a pixel of the first level.
    read : callable
        Returns a rectangle of a level, the channels first; may be called from several threads.
    further : dict
        See `raster_attributes`.
    same : tuple of zarr.Array
        The levels as they lie in the result: where an array of the store would have the same files, these
        are copied.
    fill : int
        The value that takes no room.
    """

    group: str
    axes: str
    shapes: tuple[tuple[int, ...], ...]
    um: tuple[float, float]
    read: Read
    further: JsonObject
    same: tuple[zarr.Array[Any], ...] = ()
    fill: int = 0

    @property
    def name(self) -> str:
        """What it is called in the store."""
        return self.group.rpartition("/")[-1]


def layout_for(pyramid: LabelPyramid) -> PyramidLayout:
    """Return how arrays are laid out in the store: in shards as large as the result's own."""
    array = pyramid.levels[0]
    chunk = array.chunks[0]
    side = array.shards[0] if array.shards else chunk * max(1, SHARD // chunk)
    return PyramidLayout(pyramid.frames, pyramid.schema, side, pyramid.frames.overview_level)


def tissue(pyramid: LabelPyramid, layout: PyramidLayout) -> Raster:
    """Return the class ids."""
    return Raster(
        "labels/tissue",
        "yx",
        tuple(array.shape for array in pyramid.levels),
        pyramid.frames.label_mpp,
        pyramid.read,
        class_labels(layout),
        same=pyramid.levels,
        fill=UNPROCESSED_ID,
    )


def confidence(pyramid: LabelPyramid) -> Raster:
    """Return the confidence: numbers, and so an image of one channel."""
    return Raster(
        "images/confidence",
        "cyx",
        tuple((1, *array.shape) for array in pyramid.confidence),
        pyramid.frames.label_mpp,
        lambda rect, level: pyramid.read_confidence(rect, level)[None],
        channels(confidence="FFFFFF"),
    )


def overview(pyramid: LabelPyramid) -> Raster:
    """Return the result's picture of the whole slide.

    Raises
    ------
    OutputError
        If its files are damaged.
    """
    path = pyramid.path
    try:
        stored: JsonObject = zarr.open_group(path, mode="r").attrs.asdict()
        datasets = stored.get("ome", stored)["multiscales"][0]["datasets"]
        _, um_y, um_x = datasets[0]["coordinateTransformations"][0]["scale"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise OutputError(
            f"{path}: its overview cannot be read: leave it out, with `--image none`"
        ) from error
    with reading(path):
        arrays = [array_to_read(path / dataset["path"]) for dataset in datasets]
    kept = [array for array in arrays[1:] if max(array.shape) >= SMALLEST]
    levels = (arrays[0], *kept)

    def read(rect: Rect, level: int) -> NDArray[np.uint8]:
        with reading(path):
            return np.asarray(levels[level][:, *rect.slices])

    return Raster(
        "images/overview", "cyx", tuple(array.shape for array in levels), (um_x, um_y), read, rgb_channels()
    )


def write_raster(store: Path, raster: Raster, layout: PyramidLayout, pool: Executor) -> None:
    """Write an image or labels, a shard for each thread at a time.

    Parameters
    ----------
    store : Path
    raster : Raster
    layout : PyramidLayout
    pool : Executor
        Of few threads.

    Raises
    ------
    OutputError
        If what is read is damaged.
    SlideError
        If the slide cannot be read.
    """
    path = store / raster.group
    attributes = raster_attributes(raster.name, raster.axes, raster.shapes, raster.um, raster.further)
    zarr.create_group(path, zarr_format=3, attributes=attributes)
    for level, shape in enumerate(raster.shapes):
        create_array(path / str(level), layout, shape, raster.fill)
        array = array_to_write(path / str(level))
        files = alike(raster.same[level], array) if raster.same else None
        if files is None:
            write = partial(_write_shard, array, partial(raster.read, level=level))
            list(pool.map(write, squares(shape, layout.region)))
            continue
        with reading(files.root):
            list(pool.map(partial(_copy, files.root, path / str(level)), files.chunk_files()))


def squares(shape: tuple[int, ...], side: int) -> Iterator[Rect]:
    """Yield the rectangles of the shards, or of the chunks, of an array, row by row."""
    height, width = shape[-2:]
    for y0 in range(0, height, side):
        for x0 in range(0, width, side):
            yield Rect(y0, x0, y0 + side, x0 + side).clipped(width, height)


def rgb_channels() -> JsonObject:
    """Return the names by which viewers know a picture in colour."""
    return channels(r="FF0000", g="00FF00", b="0000FF")


def _write_shard(array: zarr.Array[Any], read: Callable[[Rect], NDArray[np.uint8]], rect: Rect) -> None:
    array[..., *rect.slices] = read(rect)


def _copy(source: Path, target: Path, name: str) -> None:
    """Copy a file of an array to another array that would have the same one."""
    to = target / name
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / name, to)
    flush(to)
