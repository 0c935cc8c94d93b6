"""A slide as far as it has to be known before anything is read of it: tissue, outlines, windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from wsi_seg.annotations.on_slide import on_glass, place
from wsi_seg.annotations.raster import Painting
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.levels import LEVEL_0
from wsi_seg.slides.monochrome import only_channel
from wsi_seg.slides.overview import Overview
from wsi_seg.slides.remarks import remarks_on_reading
from wsi_seg.slides.slide import Slide

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import shapely
    from numpy.typing import NDArray

    from wsi_seg.annotations.annotation import Annotation
    from wsi_seg.annotations.annotation_files import AnnotationFiles
    from wsi_seg.settings import LabelSettings
    from wsi_seg.slides.frames import Frames
    from wsi_seg.slides.tissue import TissueMask
    from wsi_seg.suggestion.asked_slides import AskedSlide

FEWEST_TISSUE = 0.5
"""Share of a window that is tissue not outlined yet. Less may be glass alone: tissue masks have a margin."""

MOST_OUTLINED = 0.1
"""Share of a window's tissue that may be outlined already."""

SAMPLES = 64
"""Along a window's side, where tissue and outlines are looked up to choose windows."""


@dataclass(frozen=True)
class Window:
    """A square of a slide.

    Attributes
    ----------
    rect : Rect
        In label pixels.
    candidate : bool
        Whether it may be suggested: there is tissue in it that is not outlined.
    outlined : bool
        Whether anything in it is.
    """

    rect: Rect
    candidate: bool
    outlined: bool


@dataclass(frozen=True)
class Ground:
    """What is known of a slide.

    Attributes
    ----------
    path : Path
    given_mpp : float or None
    levels_read : tuple of int
    series : int or None
    frames : Frames
    tissue : TissueMask
    shapes : tuple of Annotation
        What is outlined, in the order of the files.
    outlines_label : list of Polygon or MultiPolygon
        The same shapes in the label frame.
    outlined : Painting
        All of them, as 1.
    remarks : tuple of str
    """

    path: Path
    given_mpp: float | None
    levels_read: tuple[int, ...]
    series: int | None
    frames: Frames
    tissue: TissueMask
    shapes: tuple[Annotation, ...]
    outlines_label: list[shapely.Geometry]
    outlined: Painting
    remarks: tuple[str, ...]

    @classmethod
    def of(cls, asked: AskedSlide, working_mpp: float, labels: LabelSettings, files: AnnotationFiles) -> Self:
        """Look a slide over.

        Raises
        ------
        SlideError, MppError
            If it cannot be opened, or its resolution does not fit.
        AnnotationError
            If a file of outlines cannot be read, or was drawn on another slide.
        """
        given = labels.mpp if asked.mpp is None else asked.mpp
        series = labels.series if asked.series is None else asked.series
        drawn = [files.read(path) for path in asked.outlines]
        with Slide(asked.path, given, LEVEL_0 if labels.from_level_0 else None, series) as slide:
            frames = slide.frames(working_mpp, labels.allow_coarser)
            overview = Overview(slide, frames)
            tissue, channel = overview.tissue, only_channel(overview.pixels)
            levels, on_reading, name = slide.levels_read, remarks_on_reading(slide), slide.name
        placed = place(drawn, name, frames)
        grey = f"{asked.path}: has no colour: `predict` takes such slides with --allow-grey"
        return cls(
            path=asked.path,
            given_mpp=given,
            levels_read=levels,
            series=series,
            frames=frames,
            tissue=tissue,
            shapes=tuple(shape for file in drawn for shape in file.shapes),
            outlines_label=placed.outlines_label,
            outlined=Painting.of(placed.outlines_label, [1] * len(placed.outlines_label)),
            remarks=(
                *on_reading,
                *([] if channel is None else [grey]),
                *(change for file in drawn for change in file.changes),
                *placed.remarks,
                *on_glass(drawn, placed.outlines_label, tissue, name),
            ),
        )

    def open(self) -> Slide:
        """Open the slide again, to be read as it was looked over."""
        return Slide(self.path, self.given_mpp, self.levels_read, self.series)

    def box_qupath(self, box_label: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Convert a box (left, top, right, bottom) from the label frame to QuPath's."""
        corners = self.frames.label_to_qupath([box_label[:2], box_label[2:]])
        (x0, y0), (x1, y1) = corners.tolist()
        return x0, y0, x1, y1

    def side(self, window_um: float) -> tuple[int, int]:
        """Return the width and height of a window in label pixels."""
        x, y = self.frames.label_mpp
        return max(1, round(window_um / x)), max(1, round(window_um / y))

    def fits(self, window_um: float) -> bool:
        """Return whether a window fits on the slide."""
        return all(
            side <= whole for side, whole in zip(self.side(window_um), self.frames.label_size, strict=True)
        )

    def windows(self, window_um: float) -> Iterator[Window]:
        """Yield the windows of a regular grid that hold tissue, row by row.

        The grid depends on the slide and the size of windows alone, so that windows of another round do not
        cut into those of the one before. What is left of the slide's sides lies half on either side.
        """
        (width, height), (across, down) = self.frames.label_size, self.side(window_um)
        left, top = width % across // 2, height % down // 2
        for y0 in range(top, height - down + 1, down):
            for x0 in range(left, width - across + 1, across):
                window = self._looked_up(Rect(y0, x0, y0 + down, x0 + across))
                if window.candidate or window.outlined:
                    yield window

    def _looked_up(self, rect: Rect) -> Window:
        if not self.tissue.touches(rect):
            return Window(rect, candidate=False, outlined=False)
        step = max(1, min(rect.width, rect.height) // SAMPLES)
        coarse = Rect(rect.y0 // step, rect.x0 // step, rect.y1 // step, rect.x1 // step)
        tissue = self.tissue.at(coarse, step)
        outlined = self.outlined_at(coarse, step) & tissue
        free = np.count_nonzero(tissue) - np.count_nonzero(outlined)
        candidate = free >= FEWEST_TISSUE * coarse.area and np.count_nonzero(
            outlined
        ) <= MOST_OUTLINED * np.count_nonzero(tissue)
        return Window(rect, bool(candidate), bool(outlined.any()))

    def outlined_at(self, rect: Rect, factor: int = 1) -> NDArray[np.bool_]:
        """Return which pixels of a rectangle are outlined, whatever as.

        Parameters
        ----------
        rect : Rect
            In pixels that cover `factor` x `factor` label pixels.
        factor : int
        """
        pixels = np.zeros((rect.height, rect.width), dtype=np.uint8)
        if len(self.outlined):
            self.outlined.onto(pixels, rect, factor)
        return pixels.astype(np.bool_)
