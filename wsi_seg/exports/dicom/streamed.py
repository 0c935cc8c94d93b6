"""Write DICOM files whose bulk is not in memory: what highdicom states, then sequences and pixels in pieces.

pydicom holds all of a sequence while it writes it, and highdicom all frames. Here items are made one by one,
and frames lie in a temporary file beside the one that is written.
"""

from __future__ import annotations

import shutil
import tempfile
from array import array
from typing import IO, TYPE_CHECKING, Self

from pydicom import Dataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import dcmwrite, write_dataset, write_sequence_item
from pydicom.tag import BaseTag, SequenceDelimiterTag

from wsi_seg.exports.dicom.made_by import UTF_8

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PIXEL_DATA = BaseTag(0x7FE00010)
UNDEFINED = 0xFFFFFFFF
LARGEST = 0xFFFFFFFE
"""Bytes that a length or an offset of 32 bits reaches."""

COPIED = 1 << 20
"""Bytes that are copied at a time."""


class Scratch:
    """Bytes beside a file that is being written, which are gone when they are closed.

    Parameters
    ----------
    beside : Path
    """

    def __init__(self, beside: Path) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile(dir=beside.parent)  # noqa: SIM115 - this is one

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    @property
    def size(self) -> int:
        """Bytes that were written."""
        return self.file.tell()

    def copy_to(self, target: IO[bytes]) -> None:
        """Append all of it to an open file."""
        end = self.file.tell()
        self.file.seek(0)
        shutil.copyfileobj(self.file, target, COPIED)
        self.file.seek(end)


class Frames:
    """Frames of an image, in the order in which they are added, in a temporary file.

    Parameters
    ----------
    beside : Path
        The file that they will stand in.
    framed : bool
        Each in an item, as compressed frames are; or one after the other.
    """

    def __init__(self, beside: Path, framed: bool) -> None:
        self._framed = framed
        self._scratch = Scratch(beside)
        self._offsets = array("Q")
        self._lengths = array("Q")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.file.close()

    def __len__(self) -> int:
        return len(self._offsets)

    @property
    def size(self) -> int:
        """Bytes of all frames."""
        return self._scratch.size

    def add(self, frame: bytes) -> None:
        """Append a frame."""
        self._offsets.append(self._scratch.size)
        if self._framed:
            frame += b"\0" * (len(frame) % 2)
            self._scratch.file.write(_item_header(len(frame)))
        self._lengths.append(len(frame))
        self._scratch.file.write(frame)

    def state(self, head: Dataset) -> None:
        """Write into the statements before the frames what has its place there."""
        head.NumberOfFrames = len(self)
        if self._framed and self._beyond:
            head.ExtendedOffsetTable = self._offsets.tobytes()
            head.ExtendedOffsetTableLengths = self._lengths.tobytes()

    def write(self, file: IO[bytes]) -> None:
        """Append all frames to an open file, as its pixel data."""
        out = _opened(file)
        out.write_tag(PIXEL_DATA)
        out.write(b"OB\0\0")
        if not self._framed:
            out.write_UL(self.size + self.size % 2)
            self._scratch.copy_to(file)
            out.write(b"\0" * (self.size % 2))
            return
        out.write_UL(UNDEFINED)
        offsets = b"" if self._beyond else array("I", self._offsets).tobytes()
        out.write(_item_header(len(offsets)) + offsets)
        self._scratch.copy_to(file)
        _end_sequence(out)

    @property
    def _beyond(self) -> bool:
        """Whether an offset is too large for a basic table."""
        return bool(self._offsets) and self._offsets[-1] > LARGEST


def write_statements(file: IO[bytes], head: Dataset, tag: int = 0, items: Iterable[Dataset] = ()) -> None:
    """Write a file's preamble, its meta information and its statements, a sequence among them item by item.

    Parameters
    ----------
    file : file
        Open for writing, empty.
    head : Dataset
        All statements but that sequence.
    tag : int
        Of the sequence; 0 without one.
    items : iterable of Dataset
        Values of items may be open files.
    """
    later = Dataset()
    for element in list(head) if tag else ():
        if element.tag > tag:
            later.add(element)
            del head[element.tag]
    dcmwrite(file, head, enforce_file_format=True)
    if not tag:
        return
    out = _opened(file)
    out.write_tag(BaseTag(tag))
    out.write(b"SQ\0\0")
    out.write_UL(UNDEFINED)
    for item in items:
        write_sequence_item(out, item, [UTF_8])
    _end_sequence(out)
    write_dataset(out, later, [UTF_8])


def _opened(file: IO[bytes]) -> DicomIO:
    out = DicomIO(file)
    out.is_little_endian, out.is_implicit_VR = True, False
    return out


def _item_header(length: int) -> bytes:
    return b"\xfe\xff\x00\xe0" + length.to_bytes(4, "little")


def _end_sequence(out: DicomIO) -> None:
    out.write_tag(SequenceDelimiterTag)
    out.write_UL(0)
