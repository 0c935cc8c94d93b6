"""Score labels against a generated slide's truth: one confusion matrix over the whole slide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import tifffile

from wsi_seg.errors import SlideError, UsageError
from wsi_seg.evaluation.metrics import Confusion
from wsi_seg.models.classes import UNPROCESSED_ID
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from wsi_seg.slides.frames import Frames

READ_SIDE = 4096
"""Side in truth pixels of the squares that are read at a time."""


@dataclass(frozen=True)
class Score:
    """How labels agree with the truth.

    Attributes
    ----------
    confusion : Confusion
        Label pixels that were processed.
    unprocessed : int
        Label pixels that were not processed; they do not count.
    """

    confusion: Confusion
    unprocessed: int


class TruthImage:
    """Class ids pixel for pixel on a slide's level 0, read window by window.

    Parameters
    ----------
    path : Path
        A tiled uint8 TIFF, as `wsi_seg.demo.generated_slide.write_slide` writes it.

    Raises
    ------
    SlideError
        If the file can't be opened or is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._tiff = tifffile.TiffFile(path)
        except (OSError, tifffile.TiffFileError) as error:
            raise SlideError(
                f"{path}: not a truth image: give the .truth.tiff beside the demo slide"
            ) from error
        page = self._tiff.pages.first
        if page.tile is None or page.dtype != np.uint8 or len(page.shape) != 2:
            self._tiff.close()
            raise SlideError(f"{path}: not a truth image: give the .truth.tiff beside the demo slide")
        self._page = page
        self._tile_shape = page.tile[0], page.tile[1]
        self.shape: tuple[int, int] = page.shape

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tiff.close()

    def read(self, rect: Rect) -> NDArray[np.uint8]:
        """Read a rectangle, in truth pixels within the image; shape (height, width), uint8."""
        side_y, side_x = self._tile_shape
        across = -(-self.shape[1] // side_x)
        out = np.empty((rect.height, rect.width), np.uint8)
        for row in range(rect.y0 // side_y, -(-rect.y1 // side_y)):
            for column in range(rect.x0 // side_x, -(-rect.x1 // side_x)):
                tile = Rect(row * side_y, column * side_x, (row + 1) * side_y, (column + 1) * side_x)
                part = Rect(
                    max(tile.y0, rect.y0), max(tile.x0, rect.x0), min(tile.y1, rect.y1), min(tile.x1, rect.x1)
                )
                pixels = self._tile(row * across + column)
                out[part.relative_to(rect).slices] = pixels[part.relative_to(tile).slices]
        return out

    def _tile(self, index: int) -> NDArray[np.uint8]:
        file = self._tiff.filehandle
        file.seek(self._page.dataoffsets[index])
        data = file.read(self._page.databytecounts[index])
        pixels, _, _ = self._page.decode(data, index)
        return np.asarray(pixels).reshape(self._tile_shape)


def score_labels(
    read: Callable[[Rect], NDArray[np.uint8]], frames: Frames, truth: TruthImage, classes: int
) -> Score:
    """Compare labels with the truth at the label pixels' centres.

    Each label pixel is compared with the truth pixel under its centre. Other truth pixels under it do not
    count.

    Parameters
    ----------
    read : callable
        Returns the label values, uint8, (height, width), of a rectangle in label pixels.
    frames : Frames
        The frames of the labels.
    truth : TruthImage
        Class ids on the slide's level 0.
    classes : int
        Number of classes in labels and truth; ids begin at 0.

    Raises
    ------
    UsageError
        If labels or truth hold another class, or the truth is of a slide of another size.
    """
    bounds = frames.bounds
    if bounds.x + bounds.width > truth.shape[1] or bounds.y + bounds.height > truth.shape[0]:
        raise UsageError(
            f"{truth.path}: {truth.shape[1]} x {truth.shape[0]} px, the truth of another slide: "
            "give the .truth.tiff beside the slide that was segmented"
        )
    confusion = Confusion.empty(classes)
    unprocessed = 0
    for rect in _blocks(frames):
        found, true = read(rect), _at_centres(rect, frames, truth)
        analysed = found != UNPROCESSED_ID
        unprocessed += int(found.size - np.count_nonzero(analysed))
        found, true = found[analysed], true[analysed]
        strange = max(found.max(initial=0), true.max(initial=0))
        if strange >= classes:
            raise UsageError(
                f"{truth.path}: class {strange} is not one of the {classes}: score the demo model's labels"
            )
        confusion.add(true, found)
    return Score(confusion, unprocessed)


def _blocks(frames: Frames) -> Iterator[Rect]:
    width, height = frames.label_size
    side = max(1, int(READ_SIDE / max(frames.downsample)))
    for y0 in range(0, height, side):
        for x0 in range(0, width, side):
            yield Rect(y0, x0, y0 + side, x0 + side).clipped(width, height)


def _at_centres(rect: Rect, frames: Frames, truth: TruthImage) -> NDArray[np.uint8]:
    """Return the true class at the centre of each label pixel of a rectangle."""
    columns = frames.slide_pixels_under(rect.x0, rect.x1, axis=0)
    rows = frames.slide_pixels_under(rect.y0, rect.y1, axis=1)
    window = Rect(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    return truth.read(window)[np.ix_(rows - window.y0, columns - window.x0)]
