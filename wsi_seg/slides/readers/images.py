"""The images of a TIFF: what each is made of, which of them is the slide, and its levels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import tifffile

from wsi_seg.errors import SlideError, UsageError
from wsi_seg.slides.readers.image_levels import LeftOut, find_levels, size_of_page
from wsi_seg.slides.readers.ome import stated_most
from wsi_seg.slides.readers.tiff_pages import ERRORS, is_tiff, quiet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KINDS: dict[int, Literal["unsigned", "signed", "floating-point"]] = {
    1: "unsigned",
    2: "signed",
    3: "floating-point",
    4: "unsigned",
}
"""Kinds of numbers by the tag SampleFormat; 4 means "not stated"."""

GREY = (0, 1)
"""Values of the tag PhotometricInterpretation: 0 is white, or black."""

BESIDE = re.compile(
    r"(?:.*[\W_])?(label|macro|thumbnail|thumb|overview|barcode)([ _]?image)?\W*", re.IGNORECASE
)
"""Names of the pictures that scanners and converters put beside the slide."""

SMALL = 4
"""An image is beside the slide if both of its sides are shorter than those of the largest by this factor."""

LOOKED_AT = 64
"""Pages whose size is compared with what OME-XML describes."""

MOST_PLANES, TILE_AREA = 1 << 20, 1 << 16
"""Planes that OME-XML may describe, in units of the first page, which may be as small as a thumbnail."""


LIBTIFF_BLOCK = 1024
"""Bytes. OpenSlide opens a TIFF of uncompressed tiles of any size, but its libtiff takes a tile for damaged
whose bytes are no multiple of this (``findings/openslide-uncompressed-tiles.sh``)."""


@dataclass(frozen=True)
class TiffImage:
    """An image of a TIFF: pages of one size and kind, with their coarser levels.

    Attributes
    ----------
    index : int
        Its number in the file: what ``--series`` names.
    name : str
        Empty if it has none.
    page : int
        The number of its first page; -1 for one that is in a SubIFD, or in another file.
    here : bool
        Whether all of its pages are in this file.
    levels : tuple of (int, int)
        Widths and heights, from the finest to the coarsest.
    width, height : int
    big_endian : bool
        Only for a TIFF that is not a BigTIFF.
    tiled : bool
        Stored in tiles, not in strips.
    odd_tiles : bool
        A level has uncompressed tiles of which OpenSlide reads none: see `LIBTIFF_BLOCK`.
    compression, photometric : int
        The values of the TIFF tags.
    samples : int
        Per pixel of one page.
    separate : bool
        Samples lie in planes of one page, not interleaved.
    extra : tuple of int
        The tag ExtraSamples: 0 for an unspecified sample, 1 and 2 for transparency.
    bits : int
        Per sample.
    kind : {"unsigned", "signed", "floating-point", "complex"}
        What samples are.
    axes : str
        Of all pages of this image, in tifffile's letters: "YXS" for one page of interleaved samples, "CYX"
        for channels in pages, "IYX" for undescribed pages.
    shape : tuple of int
        Length along each of `axes`.
    description : str
    left_out : tuple of LeftOut
    """

    index: int
    name: str
    page: int
    here: bool
    levels: tuple[tuple[int, int], ...]
    width: int
    height: int
    big_endian: bool
    tiled: bool
    odd_tiles: bool
    compression: int
    photometric: int
    samples: int
    separate: bool
    extra: tuple[int, ...]
    bits: int
    kind: Literal["unsigned", "signed", "floating-point", "complex"]
    axes: str
    shape: tuple[int, ...]
    description: str
    left_out: tuple[LeftOut, ...] = ()

    def __str__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"{self.index}{name} ({self.width} x {self.height})"

    @property
    def in_colour(self) -> bool:
        """Whether its samples are colours, or may be."""
        return (
            self.photometric not in GREY
            or self.samples == 3
            or dict(zip(self.axes, self.shape, strict=True)).get("C") == 3
        )


def read_images(path: Path) -> tuple[TiffImage, ...]:
    """Read what a TIFF states about its images, without their pixels.

    Raises
    ------
    SlideError
        If the file is damaged, or its OME-XML leaves out the largest of its images.
    """
    try:
        with quiet(), tifffile.TiffFile(path) as tiff:
            _refuse_absurd(path, tiff)
            sizes = [size_of_page(page) for page in islice(tiff.pages, LOOKED_AT)] if tiff.is_ome else []
            images = tuple(
                _describe(tiff, index, series)
                for index, series in enumerate(tiff.series)
                if {"Y", "X"} <= set(series.axes)
                and _area(size_of_page(series.keyframe)) > 0
                and not (tiff.is_svs and index > 0 and series.keyframe.is_tiled)  # a level
            )
    except ERRORS as error:
        raise SlideError(f"{path}: damaged TIFF ({error}): copy or export it again") from error
    if not images:
        raise SlideError(f"{path}: damaged TIFF (it has no image): copy or export it again")
    width, height = max(sizes, key=_area, default=(0, 0))
    if width * height > max(image.width * image.height for image in images):
        raise SlideError(
            f"{path}: its OME-XML does not describe its largest image, of {width} x {height} px, as it is "
            "stored: export it again"
        )
    return images


def _refuse_absurd(path: Path, tiff: tifffile.TiffFile) -> None:
    """Refuse OME-XML of more planes than a file has: tifffile takes memory for each, there or not."""
    if not tiff.is_ome:
        return
    width, height, planes = stated_most(tiff.pages.first.description)
    if width * height * planes > MOST_PLANES * max(_area(size_of_page(tiff.pages.first)), TILE_AREA):
        raise SlideError(
            f"{path}: its OME-XML describes an image of {width} x {height} px in {planes} planes, which the "
            "file does not hold: export it again"
        )


def choose_image(path: Path, images: Sequence[TiffImage], series: int | None) -> TiffImage:
    """Return the image that is the slide: the largest in colour that is not beside it, or the one named.

    Parameters
    ----------
    path : Path
        Named in errors.
    images : sequence of TiffImage
    series : int or None
        The number of the image that the user names.

    Raises
    ------
    UsageError
        If no image has that number.
    """
    if series is not None:
        for image in images:
            if image.index == series:
                return image
        raise UsageError(
            f"{path}: has no image {series}: give --series one of {', '.join(str(one) for one in images)}"
        )
    return max(_likely(images), key=lambda image: _area(_size_of(image)))


def remark_on_images(path: Path) -> str | None:
    """Return a line about a file in which more than one image may be the slide; None for any other.

    Raises
    ------
    SlideError
        If the file is damaged.
    """
    images = read_images(path)
    likely = _likely(images)
    if len(likely) == 1:
        return None
    chosen = choose_image(path, images, None)
    others = ", ".join(str(image) for image in likely if image is not chosen)
    return f"{path}: image {chosen} is read, the largest; --series names another: {others}"


def _likely(images: Sequence[TiffImage]) -> list[TiffImage]:
    """Return the images that may be the slide."""
    here = [image for image in images if image.here] or images
    named = [image for image in here if not BESIDE.fullmatch(image.name)] or here
    width, height = max((_size_of(image) for image in named), key=_area)
    large = [image for image in named if image.width * SMALL >= width or image.height * SMALL >= height]
    return [image for image in large if image.in_colour] or large


def list_images(path: Path, series: int | None = None) -> list[tuple[TiffImage, bool]]:
    """Return the images of a file, and whether each is the one that is read; none if it is not a TIFF.

    Raises
    ------
    SlideError
        If the file is damaged.
    """
    if not path.is_file() or not is_tiff(path):
        return []
    images = read_images(path)
    chosen = choose_image(path, images, series)
    return [(image, image is chosen) for image in images]


def _describe(tiff: tifffile.TiffFile, index: int, series: Any) -> TiffImage:
    page = series.keyframe
    here = all(one is not None and one.parent is tiff for one in series.pages)
    bits = page.bitspersample
    first = series.pages[0]
    own = first is not None and first.parent is tiff and len(first.treeindex) == 1
    levels, left_out = find_levels(series) if here else ([[page]], ())
    return TiffImage(
        index=index,
        name=series.name or "",
        page=int(first.index) if own else -1,
        here=here,
        levels=tuple(size_of_page(pages[0]) for pages in levels),
        width=int(page.imagewidth),
        height=int(page.imagelength),
        big_endian=tiff.byteorder == ">" and not tiff.is_bigtiff,
        tiled=bool(page.is_tiled),
        odd_tiles=any(_has_odd_tiles(pages[0]) for pages in levels),
        compression=int(page.compression),
        photometric=int(page.photometric),
        samples=int(page.samplesperpixel),
        separate=bool(page.planarconfig == tifffile.PLANARCONFIG.SEPARATE),
        extra=tuple(int(kind) for kind in page.extrasamples),
        bits=int(max(bits) if isinstance(bits, tuple) else bits),
        kind=KINDS.get(page.sampleformat, "complex"),
        axes=series.axes,
        shape=tuple(series.shape),
        description=tiff.pages.first.description if tiff.is_ome else page.description,
        left_out=left_out,
    )


def _has_odd_tiles(page: Any) -> bool:
    bits = max(page.bitspersample) if isinstance(page.bitspersample, tuple) else page.bitspersample
    samples = 1 if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE else page.samplesperpixel
    stored = page.tilewidth * page.tilelength * samples * bits // 8
    return bool(page.is_tiled and page.compression == tifffile.COMPRESSION.NONE and stored % LIBTIFF_BLOCK)


def _size_of(image: TiffImage) -> tuple[int, int]:
    return image.width, image.height


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]
