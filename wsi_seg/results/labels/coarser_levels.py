"""The coarser levels of a result's label images: each from the one below, shard by shard, as regions come."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wsi_seg.files.files import writing
from wsi_seg.results.labels.halving import halve_known, halve_labels
from wsi_seg.results.labels.ngff_attributes import TISSUE
from wsi_seg.results.labels.shards import read_pixels, write_shard
from wsi_seg.results.labels.storage import array_to_read, digesting, reading
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    import zarr
    from numpy.typing import NDArray

    from wsi_seg.results.labels.ngff_attributes import PyramidLayout

    WaitFor = Callable[[Rect], None]
    Image = tuple[str, int]
    """The name of a label image, and a level of it."""


@dataclass(frozen=True)
class CoarseShard:
    """A shard of a coarser level.

    Attributes
    ----------
    level : int
    rect : Rect
        In pixels of its level.
    under : Rect
        The label pixels that it shows.
    """

    level: int
    rect: Rect
    under: Rect


@dataclass(frozen=True)
class CoarserLevels:
    """Makes the coarser levels of a result that is laid out.

    Parameters
    ----------
    path : Path
        The result's folder, ``.../slide.ome.zarr``.
    layout : PyramidLayout
    """

    path: Path
    layout: PyramidLayout

    def build(self, workers: int, wait_for: WaitFor | None) -> dict[str, str]:
        """Do what `PyramidWriter.build_levels` says."""
        files: dict[str, str] = {}
        images = list(itertools.product(self.layout.label_images, range(1, self.layout.levels)))
        with (
            writing(self.path),
            ExitStack() as stack,
            ThreadPoolExecutor(workers, thread_name_prefix="pyramid") as pool,
        ):
            sources = {
                (name, level): array_to_read(self.path / name / str(level - 1)) for name, level in images
            }
            targets = {
                (name, level): stack.enter_context(digesting(self.path, f"{name}/{level}", files))
                for name, level in images
            }

            def make(image: Image, shard: CoarseShard, below: list[Future[None]]) -> None:
                if shard.level == 1 and wait_for is not None:
                    wait_for(shard.under)
                for work in below:
                    work.result()
                self._reduce(sources[image], targets[image], image[0], shard.rect)

            made: dict[tuple[str, int, int, int], Future[None]] = {}
            side = self.layout.region
            for shard in self._in_turn():
                row, column = shard.rect.y0 // side, shard.rect.x0 // side
                places = list(itertools.product((2 * row, 2 * row + 1), (2 * column, 2 * column + 1)))
                for name in self.layout.label_images:
                    keys = [(name, shard.level - 1, *place) for place in places]
                    below = [made[key] for key in keys if key in made]
                    work = pool.submit(make, (name, shard.level), shard, below)
                    made[name, shard.level, row, column] = work
            try:
                for work in made.values():
                    work.result()
            finally:
                pool.shutdown(cancel_futures=True)
        return files

    def _in_turn(self) -> list[CoarseShard]:
        """Return all shards by the last region under each, row by row; those under a shard come before it."""
        side = self.layout.region

        def last_region(shard: CoarseShard) -> tuple[int, int, int]:
            return (shard.under.y1 - 1) // side, (shard.under.x1 - 1) // side, shard.level

        return sorted(self._shards(), key=last_region)

    def _shards(self) -> Iterator[CoarseShard]:
        side = self.layout.region
        finest = self.layout.label_shape(0)
        for level in range(1, self.layout.levels):
            height, width = self.layout.label_shape(level)
            for y0, x0 in itertools.product(range(0, height, side), range(0, width, side)):
                rect = Rect(y0, x0, y0 + side, x0 + side).clipped(width, height)
                y, x, y1, x1 = (edge << level for edge in (rect.y0, rect.x0, rect.y1, rect.x1))
                yield CoarseShard(level, rect, Rect(y, x, y1, x1).clipped(finest[1], finest[0]))

    def _reduce(self, source: zarr.Array[Any], target: zarr.Array[Any], name: str, rect: Rect) -> None:
        """Write one shard of `target` from the (at most) four shards of `source` that lie under it."""
        halve: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
        halve = halve_labels if name == TISSUE else halve_known
        height, width = source.shape
        side = self.layout.region
        reduced = np.empty((rect.height, rect.width), dtype=np.uint8)
        for y0 in range(2 * rect.y0, min(2 * rect.y1, height), side):
            for x0 in range(2 * rect.x0, min(2 * rect.x1, width), side):
                under = Rect(y0, x0, y0 + side, x0 + side).clipped(width, height)
                with reading(self.path):
                    quarter = halve(read_pixels(source, under))
                top, left = y0 // 2 - rect.y0, x0 // 2 - rect.x0
                reduced[top : top + quarter.shape[0], left : left + quarter.shape[1]] = quarter
        write_shard(target, rect, reduced)
