"""From a label image of any size to class polygons, tile by tile.

Each tile is read with the context that the sieve needs, its components are traced along pixel edges, their
shared borders are simplified together, and the polygons are joined across the tiles' borders. Tiles have
nothing to do with how the labels are stored; nothing of the size of the image is ever held.

The shapes of all label values, background and unprocessed pixels among them, form one coverage: they
neither gap nor overlap, and polygons that touch have the same corners there.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from wsi_seg.errors import UsageError
from wsi_seg.results.polygons.complete_shapes import Complete, Pieces, Shape
from wsi_seg.results.polygons.components import Components, find_components
from wsi_seg.results.polygons.in_order import in_order
from wsi_seg.results.polygons.join import Joiner
from wsi_seg.results.polygons.sieve import LabelSource, read_sieved
from wsi_seg.results.polygons.simplify import simplify, steps_within
from wsi_seg.results.polygons.tile_tally import Tally, Tile
from wsi_seg.results.polygons.tracing import trace
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from numpy.typing import NDArray

SPLITS = 16
"""A component with too many corners is cut on a grid of at most this many cells along a tile's side."""

AHEAD = 3
"""Tiles for each thread that may wait to be joined: what happens between two of them takes 0 to 100 ms."""


@dataclass(frozen=True)
class PolygonSettings:
    """How labels become polygons.

    Attributes
    ----------
    min_area_px : int
        Components with fewer label pixels are given to a neighbouring class; 1 keeps everything.
    tolerance_px : float
        Outlines may be simplified by about this many label pixels; 0 keeps them exact. The largest of
        `simplify.STEPS` within it is what is used.
    max_vertices : int
        Shapes with more corners are cut along tile borders, and then within a tile as far as `SPLITS` goes.
    tile : int
        Side of a tile in label pixels, a multiple of 16.
    threads : int
        Tiles worked on at a time, one of them by the thread that takes the shapes. The shapes and
        their order do not depend on it.

    Raises
    ------
    UsageError
        If a setting is out of range.
    """

    min_area_px: int = 1
    tolerance_px: float = 0.0
    max_vertices: int = 50_000
    tile: int = 2048
    threads: int = 1

    def __post_init__(self) -> None:
        if self.min_area_px < 1:
            raise UsageError(f"a smallest area of {self.min_area_px} pixels does not fit: use 1 or more")
        if not 0 <= self.tolerance_px < np.inf:
            raise UsageError(f"a tolerance of {self.tolerance_px} pixels does not fit: use 0 or more")
        if self.max_vertices < 5:
            raise UsageError(f"{self.max_vertices} corners are too few for a square: use 1000 or more")
        if self.tile < SPLITS or self.tile % SPLITS:
            raise UsageError(f"a tile of {self.tile} pixels does not fit: use a multiple of {SPLITS}")
        if self.threads < 1:
            raise UsageError(f"{self.threads} threads cannot work: use 1 or more")

    @property
    def step_px(self) -> float:
        """The tolerance that outlines are simplified by: the last step within the one that is asked for."""
        return max(steps_within(self.tolerance_px), default=0.0)


@dataclass(frozen=True)
class ArraySource:
    """A numpy or zarr array as a `LabelSource`."""

    array: Any

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.array.shape
        return int(height), int(width)

    def read(self, rect: Rect) -> NDArray[np.uint8]:
        """Return the pixels of a rectangle."""
        return np.asarray(self.array[rect.slices])


def vectorise(
    labels: LabelSource,
    settings: PolygonSettings,
    confidence: LabelSource | None = None,
    tally: Tally | None = None,
    unseen: Collection[int] = (),
) -> Iterator[Shape]:
    """Draw the shapes of a label image.

    Parameters
    ----------
    labels : LabelSource
        The label image, uint8.
    settings : PolygonSettings
        How to draw.
    confidence : LabelSource, optional
        An image of the same size, uint8, whose mean over each shape is given with it.
    tally : Tally, optional
        Counts what could not be done as asked.
    unseen : collection of int, optional
        Label values whose shapes are not asked for. The shapes of others do not depend on it.

    Yields
    ------
    Shape
        One a 4-connected component of the sieved labels, of every other label value, unless it was cut for
        having too many corners. Simplified outlines keep their corners on tile borders.
    """
    height, width = labels.shape
    tally = Tally() if tally is None else tally
    joiner = Joiner((width, height), settings.tile, settings.max_vertices, unseen)
    tiles = (
        Rect(y0, x0, y0 + settings.tile, x0 + settings.tile).clipped(width, height)
        for y0 in range(0, height, settings.tile)
        for x0 in range(0, width, settings.tile)
    )
    with ExitStack() as stack:
        threads = settings.threads
        pool = stack.enter_context(ThreadPoolExecutor(threads - 1, "polygons")) if threads > 1 else None
        ahead = AHEAD * threads
        drawn = in_order(pool, lambda rect: cut_tile(labels, confidence, rect, settings), tiles, ahead)
        joined = (joiner.add(tile.pieces) for tile in _counted(drawn, tally, settings.step_px))
        for shapes in in_order(pool, Complete.shapes, joined, threads):
            tally.look_at(shapes, settings.max_vertices)
            yield from shapes


def _counted(tiles: Iterable[Tile], tally: Tally, step_px: float) -> Iterator[Tile]:
    for tile in tiles:
        tally.add(tile, step_px)
        yield tile


def cut_tile(
    labels: LabelSource, confidence: LabelSource | None, rect: Rect, settings: PolygonSettings
) -> Tile:
    """Draw the polygons of one tile."""
    height, width = labels.shape
    seen = rect.padded(1).clipped(width, height)
    sieved, far_enough = read_sieved(labels, seen, settings.min_area_px)
    inner = rect.relative_to(seen)
    components = find_components(np.ascontiguousarray(sieved[inner.slices]))
    extra = _seam_corners(sieved, inner, settings.tile // SPLITS)
    class_id = components.value
    while True:
        outlines = trace(components, extra, (rect.x0, rect.y0))
        simplified = simplify(outlines.rings, class_id, settings.tolerance_px)
        too_many = shapely.get_num_coordinates(simplified.polygons) > settings.max_vertices
        smaller = _split(components, too_many, settings.tile) if too_many.any() else None
        if smaller is None:
            break
        class_id = class_id[smaller.value % len(components)]
        components = smaller

    top, bottom, left, right = components.sides()
    pieces = Pieces(
        rect=rect,
        polygons=simplified.polygons,
        seen_valid=simplified.seen_valid,
        class_id=class_id,
        area=components.area,
        confidence=_sum_over(components, confidence, rect),
        top=top,
        bottom=bottom,
        left=left,
        right=right,
        top_corners=outlines.top_corners,
        left_corners=outlines.left_corners,
    )
    return Tile(pieces, outlines.rings.length(), simplified.tolerance, simplified.sound, far_enough)


def _seam_corners(sieved: NDArray[np.uint8], inner: Rect, spacing: int) -> NDArray[np.bool_]:
    """Return the points on a tile's border that the tiles beyond it have corners at.

    These are the points where the labels just outside change, and those where a component with too many
    corners might be cut. Both tiles of a seam find the same points.

    Parameters
    ----------
    sieved : NDArray of uint8
        Labels of the tile and, but for the image's border, of the pixels around it.
    inner : Rect
        The tile in `sieved`.
    spacing : int
        Distance between points where components are cut.
    """
    corners = np.zeros((inner.height + 1, inner.width + 1), dtype=bool)
    rows, columns = inner.slices
    sides = (
        (inner.y0 > 0, corners[0], sieved[inner.y0 - 1, columns]),
        (inner.y1 < len(sieved), corners[-1], sieved[inner.y1 % len(sieved), columns]),
        (inner.x0 > 0, corners[:, 0], sieved[rows, inner.x0 - 1]),
        (inner.x1 < sieved.shape[1], corners[:, -1], sieved[rows, inner.x1 % sieved.shape[1]]),
    )
    for goes_on, side, beyond in sides:
        if goes_on:
            side[1:-1] = beyond[1:] != beyond[:-1]
            side[::spacing] = True
    return corners


def _split(components: Components, chosen: NDArray[np.bool_], tile: int) -> Components | None:
    """Cut the chosen components along the coarsest grid that cuts any of them.

    Returns
    -------
    Components or None
        Their values, modulo the number of components before, are the components they were part of. None if
        the finest grid cuts none.
    """
    height, width = components.shape
    component = components.paint(np.arange(len(components), dtype=np.int32))
    cells = 2
    while cells <= SPLITS:
        row, column = np.arange(height) * cells // tile, np.arange(width) * cells // tile
        cell = (row[:, None] * cells + column[None, :]) * len(chosen)
        cut = find_components(component + chosen[component] * cell)
        if len(cut) > len(chosen):
            return cut
        cells *= 2
    return None


def _sum_over(components: Components, image: LabelSource | None, rect: Rect) -> NDArray[np.float64]:
    """Return the sum of an image's pixels over each component of a rectangle; NaN if there is no image."""
    if image is None:
        return np.full(len(components), np.nan)
    per_run = np.add.reduceat(image.read(rect).reshape(-1), components.run_start, dtype=np.int64)
    total = np.bincount(components.run_component, weights=per_run, minlength=len(components))
    return total.astype(np.float64, copy=False)
