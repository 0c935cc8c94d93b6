"""Remarks on how a slide is read: its resolution, which of a file's images it is, and its levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.errors import MppError
from wsi_seg.slides.levels import remarks_on_levels
from wsi_seg.slides.resolution import alike, mpp_in_words, stated_resolution

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsi_seg.slides.slide import Slide


def remarks_on_reading(slide: Slide) -> tuple[str, ...]:
    """Return remarks on a resolution that was given against the file's, on the image and on the levels."""
    return (*remarks_on_resolution(slide), *remarks_on_levels(slide))


def remarks_on_resolution(slide: Slide) -> Iterator[str]:
    """Yield a line where the user gives another resolution than the file states.

    It may be right, as of a level that was exported on its own with the words of the whole slide. Or it was
    meant for ``--working-mpp``, and all areas are wrong.
    """
    if not slide.resolution_given:
        return
    try:
        stated = stated_resolution(slide.path, slide.properties, slide.size).mpp
    except MppError:
        return
    if not alike(slide.mpp, stated):
        times = slide.mpp[0] * slide.mpp[1] / (stated[0] * stated[1])
        yield (
            f"{slide.path}: states {mpp_in_words(stated)} um per px, but {mpp_in_words(slide.mpp)} was given "
            f"and counts, so areas are {times:.3g} times as large: to work at another resolution, give "
            "--working-mpp"
        )
