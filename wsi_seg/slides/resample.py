"""Area resampling on a fixed global grid.

An output pixel is the area-weighted mean of the source pixels it covers. Each output pixel is computed from
its own global index by the same arithmetic in the same order, whatever rectangle it is read in. So two
overlapping readings agree to the byte, which a resampler relative to the rectangle cannot guarantee. The
compiled form (`wsi_seg.slides.area`), where there is one, gives the same bytes as numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from wsi_seg.slides.area import area_library, weigh

if TYPE_CHECKING:
    from numpy.typing import NDArray

HALF = 128
"""The least alpha of a pixel that counts as recorded."""

BAND = 24
"""Output rows computed at a time: few enough for the caches."""


@dataclass(frozen=True)
class AxisGrid:
    """How one axis of an output frame lies over one axis of a source level.

    Output pixel ``k`` covers the source interval ``[offset + k * scale, offset + (k + 1) * scale)``, cut off
    at `lower` and `upper`. All in source pixels.
    """

    offset: float
    scale: float
    lower: float
    upper: float

    def edges(self, start: int, stop: int) -> NDArray[np.float64]:
        """Return the source coordinates of the edges of output pixels ``start`` to ``stop``."""
        edges = self.offset + np.arange(start, stop + 1, dtype=np.float64) * self.scale
        whole = np.round(edges)
        edges = np.where(np.abs(edges - whole) < 1e-6, whole, edges)
        return np.clip(edges, self.lower, self.upper)

    def source_span(self, start: int, stop: int) -> tuple[int, int]:
        """Return the first and past-the-last source pixel under output pixels ``start`` to ``stop``."""
        edges = self.edges(start, stop)
        return int(np.floor(edges[0])), int(np.ceil(edges[-1]))

    @cached_property
    def whole_factor(self) -> int | None:
        """The number of source pixels in an output pixel, if both grids share all their lines."""
        factor = round(self.scale)
        aligned = factor >= 1 and abs(self.scale - factor) < 1e-9
        on_pixel = abs(self.offset - round(self.offset)) < 1e-6 and self.lower <= self.offset + 1e-6
        return factor if aligned and on_pixel else None

    def fits(self, start: int, stop: int) -> bool:
        """Return whether output pixels ``start`` to ``stop`` lie wholly inside the source."""
        return (
            self.offset + start * self.scale >= self.lower and self.offset + stop * self.scale <= self.upper
        )

    def taps(self, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return source indices and weights, each of shape (taps, stop - start); weights sum to one."""
        edges = self.edges(start, stop)
        first, last = edges[:-1], edges[1:]
        begin = np.floor(first).astype(np.int64)
        count = int(np.max(np.ceil(last).astype(np.int64) - begin, initial=1))
        index = begin + np.arange(count)[:, None]
        overlap = np.clip(np.minimum(last, index + 1) - np.maximum(first, index), 0, None)
        total = overlap.sum(axis=0)
        weights = np.where(total > 0, overlap / np.where(total > 0, total, 1), np.arange(count)[:, None] == 0)
        # Taps past the span have no weight; they only must not point outside the source.
        span = self.source_span(start, stop)
        return np.clip(index, span[0], max(span[1] - 1, span[0])), weights.astype(np.float32)


def resample(
    source: NDArray[np.uint8],
    source_origin_yx: tuple[int, int],
    grids: tuple[AxisGrid, AxisGrid],
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Area-resample a piece of a source level to a piece of the output frame.

    Parameters
    ----------
    source : uint8 array, shape (h, w, 4)
        Source pixels that cover the asked-for output.
    source_origin_yx : (int, int)
        Where ``source[0, 0]`` lies in the source level.
    grids : (AxisGrid, AxisGrid)
        The y and the x axis.
    rows, columns : (int, int)
        First and past-the-last output pixel.

    Returns
    -------
    rgb : uint8 array, shape (rows, columns, 3)
    present : bool array, shape (rows, columns)
        Where alpha is half or more.
    """
    grid_y, grid_x = grids
    factors = grid_y.whole_factor, grid_x.whole_factor
    if factors[0] is not None and factors[1] is not None and grid_y.fits(*rows) and grid_x.fits(*columns):
        y0, y1 = grid_y.source_span(*rows)
        x0, x1 = grid_x.source_span(*columns)
        oy, ox = source_origin_yx
        return _apart(_means_of_blocks(source[y0 - oy : y1 - oy, x0 - ox : x1 - ox], factors[0], factors[1]))
    if (library := area_library()) is not None:
        (index_y, weight_y), (index_x, weight_x) = grid_y.taps(*rows), grid_x.taps(*columns)
        y = index_y - source_origin_yx[0], weight_y
        x = index_x - source_origin_yx[1], weight_x
        return weigh(library, np.ascontiguousarray(source), y, x)
    return _apart(_weigh(source, source_origin_yx, grids, rows, columns))


def _apart(rgba: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    return np.ascontiguousarray(rgba[..., :3]), rgba[..., 3] >= HALF


def _means_of_blocks(block: NDArray[np.uint8], down: int, across: int) -> NDArray[np.uint8]:
    if (down, across) == (1, 1):
        return block
    # As CMYK, Pillow treats the four channels alike.
    image = Image.frombuffer("CMYK", (block.shape[1], block.shape[0]), np.ascontiguousarray(block))
    return np.asarray(image.reduce((across, down)))


def _weigh(
    source: NDArray[np.uint8],
    source_origin_yx: tuple[int, int],
    grids: tuple[AxisGrid, AxisGrid],
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> NDArray[np.uint8]:
    """Sum weighted pixels by numpy, shape (rows, columns, 4)."""
    grid_y, grid_x = grids
    index_x, weight_x = grid_x.taps(*columns)
    out = np.empty((rows[1] - rows[0], columns[1] - columns[0], 4), dtype=np.uint8)
    for start in range(*rows, BAND):
        stop = min(start + BAND, rows[1])
        index_y, weight_y = grid_y.taps(start, stop)
        tall = _weigh_rows(source, index_y - source_origin_yx[0], weight_y)
        wide = _weigh_columns(tall, index_x - source_origin_yx[1], weight_x)
        wide += np.float32(0.5)
        out[start - rows[0] : stop - rows[0]] = wide
    return out


def _weigh_rows(
    source: NDArray[np.uint8], index: NDArray[np.int64], weight: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Sum weighted rows of `source`, tap by tap; taps and weights have the shape (taps, rows).

    Only the first tap has a weight everywhere; the others are computed only where they have one.
    """
    flat = source.reshape(len(source), -1)
    out: NDArray[np.float32] = np.multiply(flat[index[0]], weight[0, :, None], dtype=np.float32)
    for rows, weights in zip(index[1:], weight[1:], strict=True):
        if weights.all():
            out += np.multiply(flat[rows], weights[:, None], dtype=np.float32)
            continue
        for k in np.flatnonzero(weights):
            out[k] += np.multiply(flat[rows[k]], weights[k], dtype=np.float32)
    return out.reshape(-1, *source.shape[1:])


def _weigh_columns(
    source: NDArray[np.float32], index: NDArray[np.int64], weight: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Sum weighted columns of `source`, as `_weigh_rows` does; its channels are weighed as one long row."""
    height, _, channels = source.shape
    out = np.empty((height, 0), dtype=np.float32)
    for tap, (columns, weights) in enumerate(zip(index, weight, strict=True)):
        some = np.flatnonzero(weights)
        every = tap == 0 or len(some) == len(weights)
        taken = source.take(columns if every else columns[some], axis=1, mode="clip").reshape(height, -1)
        taken *= np.repeat(weights if every else weights[some], channels)
        if tap == 0:
            out = taken
        elif every:
            out += taken
        else:
            out.reshape(height, -1, channels)[:, some] += taken.reshape(height, -1, channels)
    return out.reshape(height, -1, channels)
