"""The choice of the reader: OpenSlide, unless it refuses a file, or would show other pixels than it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.errors import SlideError, UsageError
from wsi_seg.slides.readers.channels import Channels, find_channels
from wsi_seg.slides.readers.compressions import codec_of, is_installed
from wsi_seg.slides.readers.decode import LevelReader
from wsi_seg.slides.readers.dicom_opening import open_dicom, open_shifted_dicom
from wsi_seg.slides.readers.images import TiffImage, choose_image, read_images
from wsi_seg.slides.readers.picture_reader import PictureReader, is_picture_file
from wsi_seg.slides.readers.refused import is_sound_tiff, refuse_other_makes, refuse_unreadable
from wsi_seg.slides.readers.significant import counted_bits, refuse_unclear
from wsi_seg.slides.readers.statements import statements
from wsi_seg.slides.readers.tiff_reader import TiffReader
from wsi_seg.slides.readers.zarr_store import is_store, is_zip

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wsi_seg.slides.readers.contract import Reader

PLAIN_TIFF = frozenset({"aperio", "generic-tiff"})
"""Formats that many programs write, with samples of any kind. Each scanner's own format has one kind."""


def open_reader(path: Path, series: int | None = None) -> Reader:
    """Open a slide file.

    Parameters
    ----------
    path : Path
    series : int, optional
        Which of a file's images; by default the largest in colour that is not a label or an overview.

    Raises
    ------
    SlideError
        If the file is missing, is not a slide that can be read, or does not state what its samples are.
    UsageError
        If it has no image of that number.
    """
    if is_store(path):
        from wsi_seg.slides.readers.zarr_reader import ZarrReader  # only now: zarr is slow to import

        return ZarrReader(path, series)
    if is_zip(path):
        raise SlideError(f"{path}: is a packed Zarr: unpack it, and name its folder")
    if is_picture_file(path):
        return _of_one_image(PictureReader(path), path, series)
    refuse_other_makes(path)
    beyond = open_dicom(path)
    if beyond is not None:
        return _of_one_image(beyond, path, series)
    try:
        opened = LevelReader(path)
    except SlideError:
        if not is_sound_tiff(path):
            raise
        return _open_refused(path, series)
    if opened.format == "dicom" and opened.shifts:
        return _of_one_image(open_shifted_dicom(path, opened), path, series)
    if opened.format not in PLAIN_TIFF:
        return _of_one_image(opened, path, series)
    try:
        other = _open_other(path, series, opened)
    except (SlideError, UsageError):
        opened.close()
        raise
    if other is None:
        return opened
    opened.close()
    return other


def _of_one_image(opened: Reader, path: Path, series: int | None) -> Reader:
    """Return a reader of a format that has one image; refuse to read another one."""
    if series:
        opened.close()
        raise UsageError(f"{path}: is read as one image: leave --series {series} out")
    return opened


def _open_other(path: Path, series: int | None, opened: LevelReader) -> TiffReader | None:
    """Open a TIFF that OpenSlide does not show as it is; None if it does."""
    images = read_images(path)
    image = choose_image(path, images, series)
    channels = find_channels(path, image)
    first = image.page == 0
    if channels is None:
        if first and not image.odd_tiles:
            return None
        raise SlideError(f"{path}: image {image} has colours that are not read: export it as RGB")
    coarser = opened.format == "generic-tiff" and len(image.levels) > len(opened.levels)
    if not first:
        why = f"image {image} of {len(images)}"
    elif not channels.plain:
        why = "OpenSlide would show other values"
    elif image.odd_tiles:
        why = "OpenSlide reads none of its uncompressed tiles"
    elif coarser:
        why = f"OpenSlide finds {len(opened.levels)} of its {len(image.levels)} levels"
    elif opened.shifts and _holds_levels(image, opened):
        why = "OpenSlide would shift its levels by part of a pixel"
    else:
        return None
    refuse_unreadable(path, image)
    return _open_tiff(path, image, channels, opened.properties if first else statements(path, image), why)


def _holds_levels(image: TiffImage, opened: LevelReader) -> bool:
    """Return whether an image has the levels that OpenSlide finds, and imagecodecs decodes them."""
    codec = codec_of(image.compression)
    sizes = tuple((level.width, level.height) for level in opened.levels)
    return image.levels == sizes and codec is not None and is_installed(codec)


def _open_refused(path: Path, series: int | None) -> TiffReader:
    """Open a sound TIFF that OpenSlide refuses."""
    images = read_images(path)
    image = choose_image(path, images, series)
    refuse_unreadable(path, image)
    channels = find_channels(path, image)
    if channels is None:
        raise SlideError(f"{path}: its colours are a palette, or neither RGB nor grey: export it as RGB")
    which = f"image {image} of {len(images)}; " if len(images) > 1 else ""
    return _open_tiff(path, image, channels, statements(path, image), f"{which}OpenSlide does not read it")


def _open_tiff(
    path: Path, image: TiffImage, channels: Channels, properties: Mapping[str, str], why: str
) -> TiffReader:
    """Open a TIFF whose samples are known, after finding out how many of their bits count."""
    reader = TiffReader(path, image, channels, properties, why)
    if channels.bits == 8:
        return reader
    stated = channels.significant_bits
    try:
        spread = reader.spread(counted_bits(channels.bits, stated))
        refuse_unclear(path, spread, channels.bits, stated, "state SignificantBits in OME-XML")
    except SlideError:
        reader.close()
        raise
    return reader
