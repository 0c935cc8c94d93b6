"""Write a result's OME-Zarr: its label images region by region, then their coarser levels, and the overview.

``slide.ome.zarr/`` is the overview, an RGB image; ``labels/tissue`` inside it is the label pyramid, whose
level 0 is the label frame; ``labels/confidence`` may be beside it.

The bytes depend only on the pixels, not on who wrote them, when, in which order or how often. A chunk that
holds only the fill value has no bytes, and a shard of such chunks has no file, so a region that was never
written equals one that was written as unprocessed. Different regions are different files and can be written
from any threads or processes at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.errors import OutputError, UsageError
from wsi_seg.files.files import remove, remove_partial, writing
from wsi_seg.results.labels.coarser_levels import CoarserLevels
from wsi_seg.results.labels.halving import halve_mean
from wsi_seg.results.labels.ngff_attributes import CONFIDENCE, TISSUE
from wsi_seg.results.labels.seals import damages, write_seal
from wsi_seg.results.labels.shards import write_shard
from wsi_seg.results.labels.skeleton import lay_out
from wsi_seg.results.labels.storage import chunk_files, digesting
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.results.labels.ngff_attributes import JsonObject, PyramidLayout


@dataclass(frozen=True)
class PyramidWriter:
    """Writer of one result; it is only a path and a layout, so it can be sent to workers.

    Parameters
    ----------
    path : Path
        The result's folder, ``.../slide.ome.zarr``.
    layout : PyramidLayout
        The shapes of its arrays, as it was created.
    """

    path: Path
    layout: PyramidLayout

    def create(self, attributes: JsonObject) -> None:
        """Make the result with all its metadata and no pixels, completely or not at all.

        Parameters
        ----------
        attributes : dict
            Further metadata of the labels (model, settings, versions); JSON-able. It is kept in the
            attribute ``wsi_seg`` of `labels/tissue`, next to ``frames`` and ``schema``.

        Raises
        ------
        OutputError
            If the folder already exists, or cannot be written.
        """
        if self.path.exists():
            raise OutputError(f"{self.path}: already exists: remove it, or name another output folder")
        unfinished = self._lay_out(attributes)
        with writing(self.path):
            unfinished.rename(self.path)

    def renew(self, attributes: JsonObject) -> None:
        """Write all metadata again, as `create` does, over the existing files; pixels stay unchanged.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        unfinished = self._lay_out(attributes)
        with writing(self.path):
            for path in [path for path in unfinished.rglob("*") if path.is_file()]:
                target = self.path / path.relative_to(unfinished)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
            remove(unfinished)

    def _lay_out(self, attributes: JsonObject) -> Path:
        """Make a result without pixels under a temporary name, and return that."""
        unfinished = self.path.with_name(f".{self.path.name}.partial")
        with writing(self.path):
            remove(unfinished)
            name = self.path.name.removesuffix(".zarr").removesuffix(".ome")
            lay_out(unfinished, self.layout, name, attributes)
        return unfinished

    def write_region(
        self, rect: Rect, labels: NDArray[np.uint8], confidence: NDArray[np.uint8] | None = None
    ) -> dict[str, str]:
        """Write one region, which is one shard, and replace an existing one.

        Parameters
        ----------
        rect : Rect
            The region's `label_rect`.
        labels : array of uint8, shape (rect.height, rect.width)
            Label values.
        confidence : array of uint8, shape (rect.height, rect.width), optional
            Required if the layout has a confidence image, else forbidden.

        Returns
        -------
        dict of str to str
            The digest of each file, by its path inside the result; a shard with only the fill value has no
            file.

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
        files: dict[str, str] = {}
        with writing(self.path):
            for image, pixels in images.items():
                with digesting(self.path, f"{image}/0", files) as array:
                    write_shard(array, rect, pixels)
        return files

    def holds(self, rect: Rect, files: Mapping[str, str]) -> bool:
        """Return whether a region's files on the disk are exactly those that `write_region` wrote.

        Parameters
        ----------
        rect : Rect
        files : dict of str to str
            The return value of `write_region`.
        """
        places = {
            f"{image}/0/{name}"
            for image in self.layout.label_images
            for name in chunk_files(self.layout, rect)
        }
        if not files.keys() <= places or any((self.path / name).exists() for name in places - files.keys()):
            return False
        return not any(damages(self.path, files))

    def write_overview(self, rgb: NDArray[np.uint8]) -> dict[str, str]:
        """Write the overview and its coarser levels, each by the rounded mean of 2 x 2 pixels.

        Parameters
        ----------
        rgb : array of uint8, shape (height, width, 3)
            The slide over the label frame, one pixel for ``2**overview_level`` label pixels each way.

        Returns
        -------
        dict of str to str
            The digest of each file, by its path inside the result.

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
        files: dict[str, str] = {}
        with writing(self.path):
            for level in range(self.layout.levels):
                with digesting(self.path, str(level), files) as array:
                    array[:] = planes
                planes = halve_mean(planes)
        return files

    def build_levels(self, workers: int, wait_for: Callable[[Rect], None] | None = None) -> dict[str, str]:
        """Make the coarser levels of the label images, each from the one below, shard by shard.

        It can be killed and called again. Memory: about six bytes per pixel of one region for each of
        `workers` threads.

        Parameters
        ----------
        workers : int
        wait_for : callable, optional
            Waits until the regions that a rectangle, in label pixels, touches are written. Without it, all
            of them are.

        Returns
        -------
        dict of str to str
            The digest of each file, by its path inside the result.

        Raises
        ------
        OutputError
            If a region's file is damaged, or the files cannot be written.
        """
        return CoarserLevels(self.path, self.layout).build(workers, wait_for)

    def seal(self, pixels: Mapping[int, int], files: Mapping[str, str]) -> None:
        """Seal the complete result: store the digests of its files; see `wsi_seg.results.labels.seals`.

        Parameters
        ----------
        pixels : dict of int to int
            Label pixels by label value.
        files : dict of str to str
            The digests that writing the regions, the overview and the levels returned.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        with writing(self.path):
            remove_partial(self.path, deep=True)  # what killed writers have left
            write_seal(self.path, pixels, files)


def _check(pixels: NDArray[np.uint8], shape: tuple[int, ...]) -> None:
    if pixels.shape != shape or pixels.dtype != np.uint8:
        raise UsageError(f"an array of {pixels.dtype}, shape {pixels.shape}, is not uint8 of shape {shape}")
