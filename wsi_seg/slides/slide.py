"""A whole-slide image: its own statements, and any rectangle of it at any resolution.

`wsi_seg.slides.readers.reader_choice` opens the file. Rectangles are given in the label frame
(`wsi_seg.slides.frames`) and read from the best level that shows what level 0 shows
(`wsi_seg.slides.agreement`), with area resampling.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import openslide

from wsi_seg.errors import MppError, SlideError
from wsi_seg.slides.content import SlideFiles, fingerprint, stamp
from wsi_seg.slides.frames import Bounds, Frames
from wsi_seg.slides.in_folder import DicomSeries
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.levels import LevelChoice
from wsi_seg.slides.readers.closed import ClosedReader
from wsi_seg.slides.readers.reader_choice import open_reader
from wsi_seg.slides.resample import resample
from wsi_seg.slides.resolution import Resolution, given_mpp, stated_resolution
from wsi_seg.slides.slide_names import dicom_name, file_name

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    from wsi_seg.slides.agreement import Agreement
    from wsi_seg.slides.readers.contract import Reader, SlideLevel

COARSER_TOLERANCE = 0.05
"""How much coarser than the working mpp a slide may be; a coarser one is refused."""

MAX_SIDE = 1 << 22
"""A longer side means a damaged header: no scanner writes it."""

READ_BYTES = 8 << 20
"""Pixels of a level that are decoded at a time."""


@dataclass(frozen=True)
class SlidePixels:
    """Pixels of one rectangle of the label frame.

    Attributes
    ----------
    rgb : uint8 array, shape (height, width, 3)
    present : bool array, shape (height, width)
        Where the scanner recorded pixels; elsewhere `rgb` is the slide's background colour.
    unreadable : tuple of Rect
        Parts, in label pixels, that the file should hold but that could not be decoded.
    """

    rgb: NDArray[np.uint8]
    present: NDArray[np.bool_]
    unreadable: tuple[Rect, ...] = ()


class Slide:
    """An open slide.

    Parameters
    ----------
    path : Path
        Any file that OpenSlide opens, a TIFF that it refuses or would not show correctly, or the folder of an
        OME-Zarr.
    mpp : float, optional
        Micrometres per slide pixel, instead of the file's statement.
    levels_read : tuple of int, optional
        The levels that may be read from: ``(0,)`` for level 0 alone. None: those that show what level 0
        shows.
    series : int, optional
        Which of a file's images; None: the largest in colour that is not a label or an overview.

    Attributes
    ----------
    name : str
        What it is called in results, on pictures and in messages: its file's name; of a DICOM slide its
        folder's or its container's, or that of its result.
    called : str
        What it is called in lines of progress: the same. Whoever has several slides may set another.

    Raises
    ------
    SlideError
        If the file is missing or is not a slide.
    UsageError
        If no slide has that `mpp`, or the file has no image of that number.
    """

    def __init__(
        self,
        path: Path | str,
        mpp: float | None = None,
        levels_read: tuple[int, ...] | None = None,
        series: int | None = None,
    ) -> None:
        self.path = Path(path)
        self.series = series
        self._given_mpp = None if mpp is None else given_mpp(mpp)
        opened = stamp(self.path)
        self._reader: Reader = open_reader(self.path, series)
        self.files = SlideFiles.of(self.path, self._reader.properties, opened)
        self.format = self._reader.format
        self.shifts = self._reader.shifts
        self.properties = self._reader.properties
        self.name = self.called = self._own_name()
        self.size: tuple[int, int] = (self._reader.levels[0].width, self._reader.levels[0].height)
        if max(self.size) > MAX_SIDE:
            raise SlideError(
                f"{self.path}: states an absurd size of {self.size[0]} x {self.size[1]}: damaged: "
                "copy or export it again"
            )
        self.levels: tuple[SlideLevel, ...] = self._reader.levels
        self.bounds = self._bounds()
        self.choice = LevelChoice(levels_read)
        colour = self.properties.get(openslide.PROPERTY_NAME_BACKGROUND_COLOR, "ffffff")
        self.background_rgb = np.frombuffer(bytes.fromhex(colour), dtype=np.uint8)

    def __reduce__(self) -> tuple[type[Slide], tuple[Path, float | None, tuple[int, ...] | None, int | None]]:
        return Slide, (self.path, self._given_mpp, self.choice.given, self.series)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; pixels that are asked for afterwards are refused."""
        self._reader = ClosedReader(self.path, self._reader)

    @cached_property
    def resolution(self) -> Resolution:
        """Micrometres per slide pixel, and their source.

        Raises
        ------
        MppError
            If neither the file nor the caller states them, or the file states a value that no slide has.
        """
        if self._given_mpp is not None:
            return Resolution((self._given_mpp, self._given_mpp), "as given")
        return stated_resolution(self.path, self.properties, self.size)

    @property
    def resolution_given(self) -> bool:
        """Whether the caller gave the resolution, whatever the file states."""
        return self._given_mpp is not None

    @property
    def mpp(self) -> tuple[float, float]:
        """Micrometres per slide pixel in x and y; raises the errors of `resolution`."""
        return self.resolution.mpp

    @property
    def read_with(self) -> str:
        """The software that decodes the file's pixels, and the samples it takes."""
        return self._reader.how

    @cached_property
    def fingerprint(self) -> str:
        """A short hash that identifies this slide's content, wherever the file lies."""
        return fingerprint(self.path, self.properties, self.size, self.files)

    @property
    def objective_power(self) -> float | None:
        """Nominal magnification, if the file states it."""
        value = self.properties.get(openslide.PROPERTY_NAME_OBJECTIVE_POWER)
        try:
            return None if value is None else float(value)
        except ValueError:
            return None

    @property
    def icc_profile(self) -> bytes | None:
        """The slide's colour profile, if it carries one."""
        return self._reader.icc_profile

    def frames(self, working_mpp: float, allow_coarser: bool = False) -> Frames:
        """Place the label frame of `working_mpp` micrometres per pixel on this slide.

        Raises
        ------
        MppError
            If the resolution is unknown, or coarser than `working_mpp` without `allow_coarser`.
        """
        coarsest = max(self.mpp)
        if coarsest > working_mpp * (1 + COARSER_TOLERANCE) and not allow_coarser:
            raise MppError(
                f"{self.path}: {coarsest:g} um per px is coarser than the working resolution of "
                f"{working_mpp:g}: "
                "the slide lacks the detail that the model needs (--allow-coarser segments it all the same)"
            )
        return Frames.at_mpp(self.bounds, self.mpp, working_mpp)

    @property
    def agreements(self) -> tuple[Agreement, ...]:
        """Whether level 1, level 2 and so on show what level 0 shows; computed on the first call."""
        return self.choice.agreements(self)

    @property
    def levels_read(self) -> tuple[int, ...]:
        """The levels that may be read from."""
        return self.choice.in_order(self)

    def level_for(self, frames: Frames) -> int:
        """Return the level to read a frame from: the coarsest level in order that is at least as fine."""
        return self.choice.best(self, frames.downsample)

    def read(self, rect: Rect, frames: Frames) -> SlidePixels:
        """Read a rectangle of the label frame.

        Parameters
        ----------
        rect : Rect
            In label pixels, inside the label frame.
        frames : Frames
            The label frame.

        Returns
        -------
        SlidePixels
            A pixel's value does not depend on the rectangle it is read in.

        Raises
        ------
        SlideError
            If the file can no longer be opened.
        """
        return self.read_level(self.level_for(frames), rect, frames)

    def read_level(self, level_index: int, rect: Rect, frames: Frames) -> SlidePixels:
        """Read a rectangle of the label frame from a given level, whatever it shows; else like `read`."""
        level = self.levels[level_index]
        grids = frames.over(level)
        rgb = np.empty((rect.height, rect.width, 3), dtype=np.uint8)
        present = np.empty((rect.height, rect.width), dtype=np.bool_)
        bad: list[Rect] = []
        row_bytes = 4 * max(grids.label_to_level(rect).width, 1) * max(grids.y.scale, 1.0)
        rows = max(1, int(READ_BYTES / row_bytes))
        for y in range(rect.y0, rect.y1, rows):
            y1 = min(y + rows, rect.y1)
            source = grids.label_to_level(Rect(y, rect.x0, y1, rect.x1))
            rgba, unreadable = self._reader.read(level_index, source)
            bad += [grids.level_to_label(b) for b in unreadable]
            strip = slice(y - rect.y0, y1 - rect.y0)
            self._composite(rgba)
            rgb[strip], present[strip] = resample(
                rgba, (source.y0, source.x0), grids, (y, y1), (rect.x0, rect.x1)
            )
        inside = (b.clipped(*frames.label_size) for b in bad)
        return SlidePixels(rgb, present, tuple(sorted({b for b in inside if b.area > 0})))

    def _own_name(self) -> str:
        """Return its name as long as no result gives it another."""
        if self.format != "dicom":
            return file_name(self.path)
        series = DicomSeries.of(self.properties)
        return dicom_name(Path(os.path.abspath(self.path)).parent, series)

    def _bounds(self) -> Bounds:
        """Return the slide's stated bounds if they make sense, else the whole of level 0."""
        values = [self.properties.get(f"openslide.bounds-{n}") for n in ("x", "y", "width", "height")]
        whole = Bounds(x=0, y=0, width=self.size[0], height=self.size[1])
        if any(v is None for v in values):
            return whole
        x, y, width, height = (int(v) for v in values if v is not None)
        inside = 0 <= x < self.size[0] and 0 <= y < self.size[1] and width > 0 and height > 0
        if not inside:
            return whole
        return Bounds(x=x, y=y, width=min(width, self.size[0] - x), height=min(height, self.size[1] - y))

    def _composite(self, rgba: NDArray[np.uint8]) -> None:
        """Composite transparent pixels over the background colour, in place; alpha stays."""
        alpha = rgba[..., 3]
        if alpha.min() == 255:
            return
        weak = alpha < 255
        a = alpha[weak].astype(np.uint16)[:, None]
        mixed = (rgba[..., :3][weak] * a + self.background_rgb * (255 - a) + 127) // 255
        rgba[..., :3][weak] = mixed.astype(np.uint8)
