"""The choice of the reader: OpenSlide, unless it would show other pixels than the file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.errors import SlideError
from wsi_seg.slides.readers.channels import Channels, find_channels
from wsi_seg.slides.readers.decode import LevelReader
from wsi_seg.slides.readers.dicom_opening import open_dicom
from wsi_seg.slides.readers.picture_reader import PictureReader, is_picture_file
from wsi_seg.slides.readers.tiff import read_tiff
from wsi_seg.slides.readers.tiff_reader import TiffReader
from wsi_seg.slides.readers.zarr_reader import ZarrReader
from wsi_seg.slides.readers.zarr_store import is_store, is_zip

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.slides.readers.contract import Reader

PLAIN_TIFF = frozenset({"aperio", "generic-tiff"})
"""Formats that many programs write, with samples of any kind. Each scanner's own format has one kind."""


def open_reader(path: Path) -> Reader:
    """Open a slide file.

    Raises
    ------
    SlideError
        If the file is missing, is not a slide that can be read, or does not state what its samples are.
    """
    if is_store(path):
        return ZarrReader(path)
    if is_zip(path):
        raise SlideError(f"{path}: is a packed Zarr: unpack it, and name its folder")
    if is_picture_file(path):
        return PictureReader(path)
    beyond = open_dicom(path)
    if beyond is not None:
        return beyond
    opened = LevelReader(path)
    if opened.format not in PLAIN_TIFF:
        return opened
    try:
        image = read_tiff(path)
        channels = find_channels(path, image)
        other = None if channels is None else _open_tiff(path, channels, opened)
    except SlideError:
        opened.close()
        raise
    if other is None:
        return opened
    opened.close()
    return other


def _open_tiff(path: Path, channels: Channels, opened: LevelReader) -> TiffReader:
    """Open a TIFF whose samples are known, after finding out how many of their bits count."""
    reader = TiffReader(path, channels, opened.properties)
    if channels.bits == 8:
        return reader
    stated = channels.significant_bits
    bits = stated if stated is not None and 8 <= stated < channels.bits else channels.bits
    largest, used = reader.spread(bits)
    if used == bits and not largest >> bits and stated in (None, bits):
        return reader
    reader.close()
    if stated is None:
        raise SlideError(
            f"{path}: holds {channels.bits} bits per sample, uses {used} of them, and does not "
            "state how many count: state SignificantBits in OME-XML, or convert it to 8 bits per channel"
        )
    if largest >> stated or stated != bits:
        raise SlideError(
            f"{path}: states {stated} significant bits in {channels.bits}, but holds the value {largest}: "
            "convert it to 8 bits per channel"
        )
    raise SlideError(
        f"{path}: states {stated} significant bits in {channels.bits}, but uses only {used}: "
        "state the number that counts, or convert it to 8 bits per channel"
    )
