"""Read the labels of a result back: class ids by rectangle, with their frame and schema."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from wsi_seg.errors import OutputError, UsageError
from wsi_seg.files.document import refuse_newer
from wsi_seg.models.classes import ClassSchema
from wsi_seg.results.labels.ngff_attributes import ATTRIBUTES_VERSION, CONFIDENCE, TISSUE, WSI_SEG
from wsi_seg.results.labels.presence import REMEDY, require_labels
from wsi_seg.results.labels.seals import SEAL
from wsi_seg.results.labels.shards import read_pixels
from wsi_seg.results.labels.storage import array_to_read, reading
from wsi_seg.slides.frames import Frames
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from wsi_seg.results.labels.ngff_attributes import JsonObject


@dataclass(frozen=True)
class LabelPyramid:
    """The label images of a result, read on demand; safe to use from many threads.

    Attributes
    ----------
    path : Path
        The result's folder.
    frames : Frames
        The place of the labels on the slide.
    schema : ClassSchema
        The classes of their values.
    attributes : dict
        All metadata stored with them: ``frames``, ``schema``, and what the run added.
    levels : tuple of zarr.Array
        `labels/tissue`, finest first; each half the size of the one before.
    confidence : tuple of zarr.Array
        `labels/confidence`, level by level; empty if the result has none.
    """

    path: Path
    frames: Frames
    schema: ClassSchema
    attributes: JsonObject
    levels: tuple[zarr.Array[Any], ...]
    confidence: tuple[zarr.Array[Any], ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the label frame."""
        width, height = self.frames.label_size
        return height, width

    def read(self, rect: Rect, level: int = 0) -> NDArray[np.uint8]:
        """Read label values.

        Parameters
        ----------
        rect : Rect
            In pixels of `level`, inside the image.
        level : int
            0 is the label frame; each further level is half the size.

        Returns
        -------
        array of uint8, shape (rect.height, rect.width)

        Raises
        ------
        UsageError
            If the rectangle is not inside the image.
        OutputError
            If the files are damaged.
        """
        return self._read(self.levels[level], rect)

    def read_confidence(self, rect: Rect, level: int = 0) -> NDArray[np.uint8]:
        """Read confidence (255 means 1.0, 0 means unprocessed) in the same way as `read`.

        Raises
        ------
        UsageError
            If the rectangle is not inside the image, or the result has no confidence.
        OutputError
            If the files are damaged.
        """
        if not self.confidence:
            raise UsageError(f"{self.path}: has no confidence: run `wsi-seg predict --confidence`")
        return self._read(self.confidence[level], rect)

    def count(self) -> dict[int, int]:
        """Count the label pixels of each value, a file at a time.

        Raises
        ------
        OutputError
            If the files are damaged.
        """
        height, width = self.shape
        down, across = self.levels[0].shards or self.levels[0].chunks
        counts = np.zeros(256, dtype=np.int64)
        for y0 in range(0, height, down):
            for x0 in range(0, width, across):
                rect = Rect(y0, x0, y0 + down, x0 + across).clipped(width, height)
                counts += np.bincount(self.read(rect).reshape(-1), minlength=256)
        return {value: int(counts[value]) for value in counts.nonzero()[0].tolist()}

    def read_overview(self, longest: int) -> NDArray[np.uint8]:
        """Read the slide's overview, from its coarsest level with at least `longest` pixels on a side.

        Returns
        -------
        array of uint8, shape (height, width, 3)
            RGB. One of `levels` has the same height and width.

        Raises
        ------
        OutputError
            If the files are damaged.
        """
        sealed = _sealed(self.attributes)
        with reading(self.path):
            arrays = [_array(self.path, str(level), sealed) for level in range(len(self.levels))]
            fine = [array for array in arrays if max(array.shape[1:]) >= longest] or arrays[:1]
            return np.ascontiguousarray(np.moveaxis(np.asarray(fine[-1][:], dtype=np.uint8), 0, -1))

    def _read(self, array: zarr.Array[Any], rect: Rect) -> NDArray[np.uint8]:
        height, width = array.shape
        if rect != rect.clipped(width, height):
            raise UsageError(f"{rect} reaches outside a label image of {width} x {height} pixels")
        with reading(self.path):
            return read_pixels(array, rect)


def read_labels(path: Path | str) -> LabelPyramid:
    """Open the labels of a result, OME-NGFF 0.5 or 0.4.

    Parameters
    ----------
    path : Path or str
        The result's folder, ``.../slide.ome.zarr``.

    Raises
    ------
    OutputError
        If there is no such folder, it was not written by wsi-seg or by a newer one, or files are missing.
    """
    path = Path(path)
    require_labels(path)
    remedy = REMEDY
    try:
        stored: JsonObject = zarr.open_group(path / TISSUE, mode="r").attrs.asdict()
        attributes = stored[WSI_SEG]
        refuse_newer(attributes, ATTRIBUTES_VERSION, path, remedy)
        frames = Frames.model_validate(attributes["frames"], extra="ignore")
        schema = ClassSchema.model_validate(attributes["schema"], extra="ignore")
        datasets = stored.get("ome", stored)["multiscales"][0]["datasets"]
        names = [dataset["path"] for dataset in datasets]
        sealed = _sealed(attributes)
    except (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise OutputError(f"{path}: not a result of wsi-seg: {remedy}") from error
    with reading(path):
        return LabelPyramid(
            path=path,
            frames=frames,
            schema=schema,
            attributes=attributes,
            levels=tuple(_array(path, f"{TISSUE}/{name}", sealed) for name in names),
            confidence=tuple(
                _array(path, f"{CONFIDENCE}/{name}", sealed) for name in names if (path / CONFIDENCE).is_dir()
            ),
        )


def _sealed(attributes: JsonObject) -> list[str]:
    """Return the files that the seal names; none without one. Whether it is sound is checked elsewhere."""
    seal = attributes.get(SEAL)
    files = seal.get("files") if isinstance(seal, dict) else None
    return list(files) if isinstance(files, dict) else []


def _array(path: Path, name: str, sealed: Iterable[str]) -> zarr.Array[Any]:
    """Open one array of a result; the files that its seal names must be there when they are read."""
    begin = f"{name}/"
    return array_to_read(path / name, {file.removeprefix(begin) for file in sealed if file.startswith(begin)})
