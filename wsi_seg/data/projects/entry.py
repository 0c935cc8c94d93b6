"""An image of a QuPath project: its name, its file, and whether the file is still the image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.errors import (
    UNPRINTABLE,
    MppError,
    SlideError,
    UnstatedMppError,
    UsageError,
    printable,
    shortened,
)
from wsi_seg.slides.resolution import alike, mpp_in_words, suspicion
from wsi_seg.slides.slide import Slide
from wsi_seg.slides.slide_names import suffix_of

if TYPE_CHECKING:
    from pathlib import Path

UNSAFE = re.compile(r'[\\/:*?"<>|]')
"""Characters that the name of a folder cannot have, on one system or another."""

LONGEST = 150
"""Most bytes of a result's name; file systems allow 255, and files beside the result have longer names."""


@dataclass(frozen=True)
class ProjectEntry:
    """An image of a project.

    Attributes
    ----------
    project : Path
        The project file.
    number : int
        QuPath's own number of the image: that of its folder in the project's ``data``.
    name : str
        As QuPath shows it.
    path : Path or None
        The image's file, which may be missing; None if it has none.
    fault : str or None
        Why it cannot be taken, and the remedy; to follow its name.
    size : (int, int) or None
        Width and height in px of the image that QuPath shows, if the project states them.
    mpp : (float, float) or None
        Micrometres per pixel in x and y, if the project states them.
    series : int or None
        Which of the file's images it is; None if QuPath reads the file as one image.
    """

    project: Path
    number: int
    name: str
    path: Path | None
    fault: str | None = None
    size: tuple[int, int] | None = None
    mpp: tuple[float, float] | None = None
    series: int | None = None

    def __str__(self) -> str:
        return f"{self.project}: {shortened(printable(self.name))!r}"

    @property
    def stem(self) -> str:
        """Its name without the suffix of its file, if it has that one."""
        suffix = "" if self.path is None else suffix_of(self.path)
        if suffix and self.name.lower().endswith(suffix.lower()):
            return self.name[: -len(suffix)]
        return self.name

    @property
    def result_name(self) -> str:
        """The name of its result: its own, with what no folder can be called replaced."""
        safe = UNSAFE.sub("_", UNPRINTABLE.sub("_", self.stem)).strip(" .")
        cut = safe.encode()[:LONGEST].decode(errors="ignore").rstrip(" .")
        return cut or f"image {self.number}"

    def require(self) -> Path:
        """Return the image's file.

        Raises
        ------
        SlideError
            If it cannot be taken; it names the image and the remedy.
        """
        if self.fault is not None or self.path is None:
            raise SlideError(f"{self}: {self.fault}")
        return self.path

    def mpp_for_slide(self, given: float | None = None, series: int | None = None) -> float | None:
        """Return the resolution to read the image's slide at level 0, after comparing slide and project.

        Parameters
        ----------
        given : float, optional
            Micrometres per pixel that the user gives; it wins over the project's.
        series : int, optional
            Which of the file's images the user asks for; the project's wins over it.

        Returns
        -------
        float or None
            `given`; else the project's, if the file states none; else None: the file's counts.

        Raises
        ------
        SlideError
            If the image cannot be taken, its file is another image than the one that QuPath shows, or file
            and project state different resolutions.
        """
        with self._opened(given, series) as slide:
            self._refuse_another(slide)
            if given is not None or self.mpp is None:
                return given
            try:
                stated = slide.mpp
            except UnstatedMppError as unstated:
                return self._own_mpp(unstated)
            except MppError:
                return None  # QuPath has it from the file; reading the slide says what is wrong with it
        if not alike(stated, self.mpp):
            raise MppError(
                f"{self}: QuPath has it at {mpp_in_words(self.mpp)} um per px, but {self.path} states "
                f"{mpp_in_words(stated)}: give the true one with --mpp, or set it in QuPath (Image tab)"
            )
        return None

    def open(self, series: int | None = None) -> Slide:
        """Open the image's slide, after comparing slide and project as `mpp_for_slide` does."""
        return self._opened(self.mpp_for_slide(series=series), series)

    def _opened(self, mpp: float | None, series: int | None) -> Slide:
        try:
            return Slide(self.require(), mpp, series=series if self.series is None else self.series)
        except UsageError as error:  # of the number of the image
            raise SlideError(f"{self}: {error}") from error

    def _own_mpp(self, unstated: MppError) -> float:
        """Return the project's resolution of a slide whose file states none."""
        assert self.mpp is not None  # it is asked for
        doubt = suspicion(self.mpp)
        if doubt is None and not alike(self.mpp, self.mpp[::-1]):
            doubt = "its pixels would not be square"
        if doubt is not None:
            raise MppError(
                f"{self}: QuPath has it at {mpp_in_words(self.mpp)} um per px: {doubt}: "
                "give the true resolution with --mpp"
            ) from unstated
        return self.mpp[0]

    def _refuse_another(self, slide: Slide) -> None:
        """Refuse a file whose image has another size than QuPath's: shapes would lie elsewhere."""
        found = slide.bounds.width, slide.bounds.height
        if self.size is None or self.size == found:
            return
        there, here = (f"{width} x {height} px" for width, height in (self.size, found))
        raise SlideError(
            f"{self}: has {there} in QuPath, but {self.path} has {here}: it is another image, or QuPath "
            "reads it in another frame: add it to the project again, with OpenSlide as the image provider"
        )
