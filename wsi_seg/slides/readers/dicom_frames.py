"""Where the frames of a DICOM slide lie in its files, found by wsidicom."""

from __future__ import annotations

import struct
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import numpy as np
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.uid import RLELossless
from wsidicom import errors as wsidicom_errors
from wsidicom.file import WsiDicomStreamOpener
from wsidicom.file.io import WsiDicomReader
from wsidicom.instance import TileType

from wsi_seg.errors import SlideError
from wsi_seg.files.plain_files import open_plain
from wsi_seg.process import WhileNeeded, silent
from wsi_seg.slides.readers.dicom_level import ITEM, ITEM_HEADER, DicomLevel, Encoding, Part
from wsi_seg.slides.readers.dicom_samples import STATED, why_samples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom import Dataset
    from pydicom.uid import UID
    from wsidicom.file.io.wsidicom_io import WsiDicomReadIO

ERRORS = (
    *(kind for kind in vars(wsidicom_errors).values() if isinstance(kind, type)),
    BytesLengthException,
    InvalidDicomError,
    StopIteration,
    AttributeError,
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    OSError,
    NotImplementedError,
    struct.error,
)
"""What wsidicom and pydicom raise for damaged files, and for those that they do not read."""


@contextmanager
def _unwarned() -> Iterator[None]:
    with silent("pydicom", "wsidicom"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pydicom")
        warnings.filterwarnings("ignore", module="wsidicom")
        yield


quiet = WhileNeeded(_unwarned)
"""Keeps both from saying what they find odd: what matters reaches users as an error."""

MAX_TILES = 1 << 24
"""Tiles that a level may have."""

MAX_FRAME = 1 << 26
"""Pixels that a frame may have: each is decoded as a whole."""

AFTER_FACTS = 0x52000000
"""The tags from here on are about single frames."""


class FrameFinder(WsiDicomReader):  # type: ignore[misc]  # is not typed
    """Finds the frames of a file, and takes every compression and every colour.

    wsidicom itself refuses what it cannot write, such as JPEG-LS of YBR_FULL. Where frames lie does not
    depend on that.
    """

    def __init__(self, stream: WsiDicomReadIO) -> None:
        self._opened = False
        super().__init__(stream)
        self._opened = True

    @property
    def transfer_syntax(self) -> UID:
        """The transfer syntax; while wsidicom opens the file, one that it writes in all colours."""
        return super().transfer_syntax if self._opened else RLELossless


@dataclass(frozen=True)
class _File:
    """A file of a level, open; its facts are the statements about all of its frames."""

    path: Path
    reader: FrameFinder
    facts: Dataset

    @property
    def total(self) -> int | None:
        """The number of files that the level is spread over, if stated."""
        total = self.facts.get("InConcatenationTotalNumber")
        return None if total is None else int(total)


def read_facts(path: Path) -> Dataset:
    """Read what a DICOM file states about all of its frames.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with open_plain(path) as file:
        return read_partial(file, stop_when=lambda tag, _vr, _length: tag >= AFTER_FACTS)


def find_levels(paths: tuple[Path, ...]) -> tuple[DicomLevel, ...]:
    """Find the levels of a slide, from the finest to the coarsest.

    Parameters
    ----------
    paths : tuple of Path
        The files that hold the slide itself.

    Raises
    ------
    SlideError
        If one is damaged or of a kind that is not read, or parts of a level are missing.
    """
    with quiet(), ExitStack() as stack:
        return _levels(_distinct([_open(path, stack) for path in paths]))


def _open(path: Path, stack: ExitStack) -> _File:
    try:
        facts = read_facts(path)
        why = why_samples({name: facts[name].value for name in STATED if facts.get(name) is not None})
        if why is not None:
            raise SlideError(f"{path}: {why}")
        stream = next(WsiDicomStreamOpener().open(path))
        stack.callback(stream.close)
        return _File(path, FrameFinder(stream), facts)
    except ERRORS as error:
        raise _unread(path, error) from error


def _unread(path: Path, error: Exception) -> SlideError:
    said = " ".join(str(error).split()) or type(error).__name__
    return SlideError(
        f"{path}: is part of a DICOM slide, but damaged, or of a kind that wsidicom does not read ({said}): "
        "copy or export it again"
    )


def _distinct(files: list[_File]) -> list[_File]:
    """Leave out copies of a file that lie beside it."""
    seen: dict[str, _File] = {}
    for file in files:
        first = seen.setdefault(str(file.reader.dataset.instance_uid), file)
        if first.path.stat().st_size != file.path.stat().st_size:
            raise SlideError(
                f"{file.path} and {first.path.name}: are one instance by their UID, but differ: remove one"
            )
    return list(seen.values())


def _levels(files: list[_File]) -> tuple[DicomLevel, ...]:
    levels: list[DicomLevel] = []
    by_level = sorted(files, key=lambda file: str(file.reader.uids.identifier))
    for _, parts in groupby(by_level, key=lambda file: str(file.reader.uids.identifier)):
        ordered = sorted(parts, key=lambda file: file.reader.frame_offset)
        try:
            levels.append(_level(ordered))
        except ERRORS as error:
            raise _unread(ordered[0].path, error) from error
    levels.sort(key=lambda level: level.width, reverse=True)
    first = levels[0]
    for finer, coarser in pairwise(levels):
        if finer.width == coarser.width or coarser.height > first.height:
            raise SlideError(
                f"{coarser.parts[0].path}: damaged: the sizes of its levels contradict each other "
                f"({finer.width} x {finer.height}, {coarser.width} x {coarser.height}): export it again"
            )
    return tuple(levels)


def _level(files: list[_File]) -> DicomLevel:
    dataset, path = files[0].reader.dataset, files[0].path
    tile, size = dataset.tile_size, dataset.image_size
    columns, rows = -(-size.width // tile.width), -(-size.height // tile.height)
    if columns * rows > MAX_TILES or tile.width * tile.height > MAX_FRAME:
        raise SlideError(
            f"{path}: states {size.width} x {size.height} px in tiles of {tile.width} x {tile.height}: "
            "damaged, or too large to be decoded tile by tile: export it again, in tiles of 256"
        )
    planes, paths = dataset.number_of_focal_planes, len(dataset.optical_path_identifiers)
    if planes > 1 or paths > 1:
        raise SlideError(
            f"{path}: holds {planes} focal planes and {paths} optical paths: export one plane as RGB"
        )
    _refuse_missing(files)
    if len({(_encoding(file), file.reader.dataset.image_size) for file in files}) > 1:
        raise SlideError(f"{path}: its parts contradict each other: copy or export the slide again")
    place = _full if dataset.tile_type is TileType.FULL else _sparse
    spacing = dataset.pixel_spacing
    mpp = None if spacing is None else (float(spacing.width) * 1000, float(spacing.height) * 1000)
    frames = place(files, rows, columns)
    return DicomLevel(size.width, size.height, mpp, _encoding(files[0]), frames, tuple(map(_part, files)))


def _encoding(file: _File) -> Encoding:
    syntax, dataset = file.reader.transfer_syntax, file.reader.dataset
    return Encoding(
        syntax=str(syntax),
        framed=bool(syntax.is_encapsulated),
        photometric=str(dataset.photometric_interpretation),
        samples=int(dataset.samples_per_pixel),
        width=dataset.tile_size.width,
        height=dataset.tile_size.height,
    )


def _part(file: _File) -> Part:
    places = np.array(list(file.reader.frame_index), dtype=np.int64).reshape(-1, 2)
    if _encoding(file).framed and len(places):
        places[-1, 1] = _whole_length(file.path, *places[-1].tolist())
    return Part(file.path, file.reader.frame_offset, places[:, 0], places[:, 1])


def _whole_length(path: Path, position: int, length: int) -> int:
    """Return the length of the last frame with all of its fragments: wsidicom gives that of the first."""
    end = position + length + length % 2
    with open_plain(path) as file:
        while True:
            file.seek(end)
            tag, more = file.read(4), file.read(4)
            if tag != ITEM or len(more) < 4:
                return end - position
            end += ITEM_HEADER + int.from_bytes(more, "little")


def _refuse_missing(files: list[_File]) -> None:
    """Refuse a level of which a file is missing."""
    path, total = files[0].path, files[0].total
    frames = 0
    for file in files:
        if file.reader.frame_offset != frames:
            raise SlideError(f"{path}: frames from {frames} on lie in a file that is missing: copy all files")
        frames += file.reader.frame_count
    if total is not None and total != len(files):
        raise SlideError(
            f"{path}: a level is spread over {total} files, {len(files)} are here: copy all files"
        )


def _full(files: list[_File], rows: int, columns: int) -> NDArray[np.int32]:
    """Return the frames of a level that holds all tiles, row by row."""
    count = sum(file.reader.frame_count for file in files)
    if count != rows * columns:
        raise SlideError(
            f"{files[0].path}: states {rows * columns} tiles, but holds {count} frames: copy all of its files"
        )
    return np.arange(count, dtype=np.int32).reshape(rows, columns)


def _sparse(files: list[_File], rows: int, columns: int) -> NDArray[np.int32]:
    """Return the frames of a level that states where each of them lies."""
    path, tile = files[0].path, files[0].reader.dataset.tile_size
    frames = np.full((rows, columns), -1, dtype=np.int32)
    count = 0
    for file in files:
        places = file.reader.dataset.frame_positions
        x, y = places.columns - 1, places.rows - 1
        if len(x) != file.reader.frame_count or (x % tile.width).any() or (y % tile.height).any():
            raise SlideError(
                f"{path}: tiles lie anywhere, not on a grid: export it again, in tiles on a grid"
            )
        column, row = x // tile.width, y // tile.height
        if ((column < 0) | (column >= columns) | (row < 0) | (row >= rows)).any():
            raise SlideError(f"{path}: states tiles outside of the slide: damaged: copy or export it again")
        frames[row, column] = np.arange(len(x)) + count
        count += len(x)
    if np.count_nonzero(frames >= 0) != count:
        raise SlideError(f"{path}: holds several frames for one place: export one plane of it")
    return frames
