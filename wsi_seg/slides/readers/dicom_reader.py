"""Read a DICOM slide that OpenSlide refuses, or would shift, frame by frame; some frames are cached."""

from __future__ import annotations

import hashlib
import os
import struct
import weakref
from bisect import bisect_right
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import openslide
import wsidicom

from wsi_seg.errors import SlideError
from wsi_seg.files.plain_files import open_plain
from wsi_seg.slides.readers.contract import SlideLevel
from wsi_seg.slides.readers.decode import level_scale
from wsi_seg.slides.readers.dicom_colours import refuse_contradiction
from wsi_seg.slides.readers.dicom_decode import FrameDecoder
from wsi_seg.slides.readers.dicom_frames import find_levels, quiet, read_facts
from wsi_seg.slides.readers.dicom_level import ITEM, ITEM_HEADER
from wsi_seg.slides.readers.dicom_series import BY_OPENSLIDE, is_read_by_openslide, name_frames, name_syntax
from wsi_seg.slides.readers.grid_cells import cut_by_grid, enclosing_cells
from wsi_seg.slides.readers.piece_cache import PIECES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom import Dataset

    from wsi_seg.slides.lattice import Rect
    from wsi_seg.slides.readers.dicom_level import DicomLevel
    from wsi_seg.slides.readers.dicom_series import SeriesFiles

MOST_PER_BYTE = 4
"""Bytes of a frame for each byte that it decodes to: more are not read, whatever a damaged file states."""


class DamagedFrameError(Exception):
    """A frame cannot be decoded."""


class DicomReader:
    """A DICOM slide: a `wsi_seg.slides.readers.contract.Reader`.

    Parameters
    ----------
    path : Path
        The file that was named.
    series : SeriesFiles
        All files of the slide.
    properties : mapping of str to str, optional
        The slide's statements, where OpenSlide opens it too, but would shift its levels.

    Raises
    ------
    SlideError
        If a file of the slide itself is damaged, missing, or of a kind that is not read.
    """

    format = "dicom"
    shifts = False

    def __init__(self, path: Path, series: SeriesFiles, properties: Mapping[str, str] | None = None) -> None:
        self.path = path
        self._headers = series.headers
        self._refused_for = series.refused_for(path) if properties is None else None
        self._owner = PIECES.new_owner()
        self._found = find_levels(series.volumes)
        first = self._found[0]
        self._decoders = [FrameDecoder(level.parts[0].path, level.encoding) for level in self._found]
        self.levels = tuple(_describe(level, first) for level in self._found)
        with quiet():
            facts = read_facts(first.parts[0].path)
            self.properties = _properties(first, facts, series) if properties is None else properties
            self._icc_profile = _optical_path(facts).get("ICCProfile")
        with ExitStack() as stack:
            self._files = [[stack.enter_context(open_plain(p.path)) for p in f.parts] for f in self._found]
            # Processes keep slides open from region to region, and drop them without closing.
            self._close = weakref.finalize(self, _close, stack.pop_all(), self._owner)
        self._refuse_unclear()

    @property
    def how(self) -> str:
        """The software that decodes the pixels, what compresses them, and why it is this software."""
        encoding, named = self._found[0].encoding, self._refused_for
        what = name_syntax(encoding.syntax)
        if named is None:
            what = f"{name_frames(encoding.syntax)}; OpenSlide would shift its levels by part of a pixel"
        elif is_read_by_openslide(self._headers[self._found[0].parts[0].path]):
            by = "colours" if self._headers[named].transfer_syntax in BY_OPENSLIDE else "compression"
            what += f", but OpenSlide refuses the slide for the {by} of {named.name}"
        elif encoding.syntax in BY_OPENSLIDE:
            what = f"{encoding.photometric} in {name_frames(encoding.syntax)}, which OpenSlide does not read"
        else:
            what += ", which OpenSlide does not read"
        return f"wsidicom {wsidicom.__version__}: {what}"

    @property
    def icc_profile(self) -> bytes | None:
        """The slide's colour profile, if it carries one."""
        return None if self._icc_profile is None else bytes(self._icc_profile)

    def close(self) -> None:
        """Close the files."""
        self._close()

    def read(self, index: int, rect: Rect) -> tuple[NDArray[np.uint8], list[Rect]]:
        """Read a rectangle of a level, in level pixels: see `wsi_seg.slides.readers.contract.Reader.read`.

        Tiles that the slide omits were not recorded.
        """
        if not self._close.alive:
            raise SlideError(f"{self.path}: is closed: open it again")
        level, frames = self.levels[index], self._found[index].frames
        rgba = np.zeros((rect.height, rect.width, 4), dtype=np.uint8)
        unreadable: list[Rect] = []
        inside = rect.clipped(level.width, level.height)
        for piece in cut_by_grid(inside, level.tile_height, level.tile_width):
            tile = enclosing_cells(piece, level.tile_height, level.tile_width)
            number = int(frames[tile.y0 // level.tile_height, tile.x0 // level.tile_width])
            if number < 0:
                continue
            target = rgba[piece.relative_to(rect).slices]
            try:
                target[..., :3] = self._frame(index, number)[piece.relative_to(tile).slices]
                target[..., 3] = 255
            except DamagedFrameError:
                unreadable.append(tile.clipped(level.width, level.height))
        return rgba, unreadable

    def _frame(self, index: int, number: int) -> NDArray[np.uint8]:
        return PIECES.get(self._owner, (index, number), lambda: self._decode(index, number))

    def _decode(self, index: int, number: int) -> NDArray[np.uint8]:
        stored = self._stored(index, number)
        try:
            return self._decoders[index].decode(stored)
        except (ValueError, LookupError, TypeError, OSError, RuntimeError, struct.error) as error:
            raise DamagedFrameError from error

    def _stored(self, index: int, number: int) -> bytes:
        """Return the bytes of a frame."""
        parts, encoding = self._found[index].parts, self._found[index].encoding
        which = bisect_right(parts, number, key=lambda part: part.first) - 1
        part, within = parts[which], number - parts[which].first
        position, length = int(part.positions[within]), int(part.lengths[within])
        if length > MOST_PER_BYTE * encoding.bytes + ITEM_HEADER:
            raise DamagedFrameError
        file = self._files[index][which].fileno()
        try:
            if encoding.framed:
                data = os.pread(file, ITEM_HEADER + length + length % 2, position - ITEM_HEADER)
                return join_items(data)
            return os.pread(file, length, position)
        except (ValueError, OSError, struct.error) as error:
            raise DamagedFrameError from error

    def _refuse_unclear(self) -> None:
        """Refuse levels whose first frame contradicts what is declared of their colours."""
        for index, level in enumerate(self._found):
            encoding, first = level.encoding, level.parts[0]
            try:
                frame = self._stored(index, first.first) if len(first.positions) else b""
            except DamagedFrameError:
                continue  # reported when it is read
            refuse_contradiction(first.path, encoding.syntax, encoding.photometric, frame)


def _close(files: ExitStack, owner: int) -> None:
    files.close()
    PIECES.forget(owner)


def join_items(data: bytes) -> bytes:
    """Join the items that a frame lies in: one, or several fragments.

    Raises
    ------
    ValueError
        If the bytes are not whole items.
    """
    pieces, at = [], 0
    while at < len(data):
        tag, length = struct.unpack_from("<4sI", data, at)
        at += ITEM_HEADER + length
        if tag != ITEM or at > len(data):
            raise ValueError("no whole items")
        pieces.append(data[at - length : at])
    return b"".join(pieces)


def _describe(level: DicomLevel, first: DicomLevel) -> SlideLevel:
    return SlideLevel(
        width=level.width,
        height=level.height,
        scale_x=level_scale(first.width, level.width),
        scale_y=level_scale(first.height, level.height),
        tile_width=level.encoding.width,
        tile_height=level.encoding.height,
        exact=True,
    )


def _properties(first: DicomLevel, facts: Dataset, series: SeriesFiles) -> dict[str, str]:
    """Return the slide's statements, as OpenSlide would give them."""
    properties = {
        openslide.PROPERTY_NAME_VENDOR: "dicom",
        openslide.PROPERTY_NAME_QUICKHASH1: hashlib.sha256(f"{series.uid}\0".encode()).hexdigest(),
        "dicom.SeriesInstanceUID": series.uid,
        "dicom.ContainerIdentifier": series.container,
    }
    if first.mpp is not None:
        for name, mpp in zip(
            (openslide.PROPERTY_NAME_MPP_X, openslide.PROPERTY_NAME_MPP_Y), first.mpp, strict=True
        ):
            properties[name] = str(mpp)
    power = _optical_path(facts).get("ObjectiveLensPower")
    if power is not None:
        properties[openslide.PROPERTY_NAME_OBJECTIVE_POWER] = f"{float(power):g}"
    return properties


def _optical_path(facts: Dataset) -> Mapping[str, Any]:
    """Return the statements about the optical path; empty if there are none."""
    paths = facts.get("OpticalPathSequence")
    return paths[0] if paths else {}
