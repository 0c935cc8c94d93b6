"""Which pages of a TIFF, in SubIFDs or after an image's own, are its coarser levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

LEVEL_SHAPE = 0.02
"""Relative difference that a level's shape may have from level 0's, beside a pixel or two of rounding."""

STEPS = (2, 3, 4)
"""How much smaller than the level before it a page is that OME-XML does not describe, and that is a level."""


class LeftOut(NamedTuple):
    """A level in a SubIFD, or on a page, that is not read, and why."""

    width: int
    height: int
    why: str


def levels_of(series: Any) -> list[list[Any]]:
    """Return the pages of each level of an image, without those that are stored in another way.

    Parameters
    ----------
    series : TiffPageSeries
    """
    return find_levels(series)[0]


def find_levels(series: Any) -> tuple[list[list[Any]], tuple[LeftOut, ...]]:
    """Return the pages of each level of an image, and what seems to be a level and is not read."""
    finest, *coarser = [list(level.pages) for level in series.levels]
    if series.kind == "svs":
        coarser = _tiled_behind(series)
    found, others = [finest], []
    for pages in coarser:
        why = _why_no_level(pages, found[-1], finest)
        if why is None:
            found.append(pages)
        else:
            others.append(LeftOut(*size_of_page(next(page for page in pages if page is not None)), why))
    if series.kind == "ome" and not coarser:
        for pages in _pages_behind(series):
            if _why_no_level(pages, found[-1], finest) is not None or not _is_step(pages[0], found[-1][0]):
                break
            found.append(pages)
    return found, tuple(others)


def _tiled_behind(series: Any) -> list[list[Any]]:
    """Return the pages of an Aperio file that OpenSlide takes for levels: all that are stored in tiles.

    tifffile takes the second page for a thumbnail, whatever it holds: files without one have a level there.
    """
    tiff, own = series.parent, _numbers(series)
    if own != [0]:
        return []
    pages = [tiff.pages[number].aspage() for number in range(1, len(tiff.pages))]
    return [[page] for page in pages if page.is_tiled]


def _pages_behind(series: Any) -> Iterator[list[Any]]:
    """Yield the pages behind an image's own that OME-XML describes as no image, by as many as it has.

    tifffile finds levels on such pages where there is no OME-XML.
    """
    tiff, own = series.parent, _numbers(series)
    if not own or len(own) != len(series.pages) or own != list(range(own[0], own[0] + len(own))):
        return
    described = {number for one in tiff.series for number in _numbers(one)}
    for first in range(own[-1] + 1, len(tiff.pages) - len(own) + 1, len(own)):
        numbers = range(first, first + len(own))
        if described.intersection(numbers):
            return
        yield [tiff.pages[number].aspage() for number in numbers]


def _numbers(series: Any) -> list[int]:
    """Return the numbers of an image's pages, of those that are in this file and in no SubIFD."""
    pages = [page for page in series.pages if page is not None and page.parent is series.parent]
    return [int(page.index) for page in pages if len(page.treeindex) == 1]


def _is_step(page: Any, finer: Any) -> bool:
    """Return whether a page is half, a third or a quarter of the finer level, up to a pixel."""
    sides = list(zip(size_of_page(finer), size_of_page(page), strict=True))
    return any(all(abs(whole / step - part) <= 1 for whole, part in sides) for step in STEPS)


def _why_no_level(pages: list[Any], finer: list[Any], finest: list[Any]) -> str | None:
    """Return why pages are no level of an image; None if they are one."""
    if any(page is None for page in pages):
        return "parts of it are missing"
    if _layout(pages) != _layout(finest):
        return "it is stored in another way than level 0"
    if _is_level(pages[0], finer[0], finest[0]):
        return None
    smaller = all(a <= b for a, b in zip(size_of_page(pages[0]), size_of_page(finer[0]), strict=True))
    return "its shape is not that of level 0" if smaller else "it is larger than the level before it"


def _layout(pages: list[Any]) -> list[tuple[Any, ...]]:
    keyframes = [page.keyframe for page in pages]
    return [(k.dtype, k.samplesperpixel, k.planarconfig, k.photometric, k.is_tiled) for k in keyframes]


def _is_level(page: Any, finer: Any, first: Any) -> bool:
    """Return whether a page is no larger than the finer level, and has the shape of level 0."""
    width, height = size_of_page(page)
    if not (0 < width <= finer.imagewidth and 0 < height <= finer.imagelength):
        return False
    expected = first.imagelength * width / first.imagewidth
    # A pixel of the shorter side may stand for as many of the longer one as the picture is long.
    rounding = 2 + first.imagelength / first.imagewidth
    return bool(abs(height - expected) <= rounding + LEVEL_SHAPE * expected)


def size_of_page(page: Any) -> tuple[int, int]:
    """Return the width and the height of a page."""
    return int(page.imagewidth), int(page.imagelength)
