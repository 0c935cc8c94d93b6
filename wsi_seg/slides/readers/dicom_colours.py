"""What the samples of a DICOM slide are: as DICOM declares them, and as JPEG 2000 frames state themselves.

DICOM PS3.5, sections 8.2.1 to 8.2.14, lists what may be declared for each compression. YBR_FULL is what the
frames decode to, and is converted afterwards. YBR_RCT and YBR_ICT name transformations that are part of JPEG
2000: the decoder undoes them, as each code stream states by itself (ISO/IEC 15444-1, A.6.1, component
transformation). Where the two contradict each other, it is not clear which colours the frames hold.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from wsi_seg.errors import SlideError
from wsi_seg.files.plain_files import open_plain
from wsi_seg.slides.readers.dicom_series import READ, name_frames

if TYPE_CHECKING:
    from pathlib import Path

GREY = "MONOCHROME2"
AS_STORED = frozenset({"nothing", "RLE", "JPEG-LS", "lossless JPEG"})
"""Compressions whose decoders give the samples as they are stored."""

TRANSFORMED = frozenset({"YBR_RCT", "YBR_ICT"})
"""RGB within JPEG 2000: the decoder gives it back."""

JPEG_2000 = frozenset({"JPEG 2000", "HTJ2K"})

CONVERTED = AS_STORED | JPEG_2000
"""Compressions whose samples are converted here, if they are declared YBR_FULL."""

PHOTOMETRICS = {
    **dict.fromkeys(AS_STORED, frozenset({"RGB", "YBR_FULL", GREY})),
    "JPEG": frozenset({"RGB", "YBR_FULL_422", "YBR_FULL", GREY}),
    **dict.fromkeys(JPEG_2000, frozenset({"RGB", "YBR_FULL", GREY}) | TRANSFORMED),
    "JPEG XL": frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT", "XYB", GREY}),
}
"""What the samples may be, by compression. A JPEG XL frame states by itself how to make them RGB."""

START = b"\xff\x4f\xff\x51\x00\x2f"
"""How a code stream of three components begins: SOC, and SIZ with its length."""

COD, SOT = 0xFF52, 0xFF90
TRANSFORMATION = 8
"""Where the segment COD, its marker included, states the component transformation."""

PIECE, FURTHEST = 1 << 20, 1 << 28
"""Bytes of a file that are searched for its first code stream: at a time, and in all."""


def refuse_colours(path: Path, syntax: str, photometric: str) -> None:
    """Refuse samples that are not known to be RGB or grey.

    Raises
    ------
    SlideError
        If that is so.
    """
    if photometric not in PHOTOMETRICS.get(READ.get(syntax, ""), ()):
        raise SlideError(
            f"{path}: holds {name_frames(syntax)} of {photometric}, which is not read: "
            "export it again as RGB, compressed by JPEG"
        )


def refuse_contradiction(path: Path, syntax: str, photometric: str, frame: bytes) -> None:
    """Refuse JPEG 2000 whose frames state otherwise than is declared whether RGB was transformed in them.

    Parameters
    ----------
    path : Path
        Named in errors.
    syntax, photometric : str
        As declared.
    frame : bytes
        One frame, or more of the file.

    Raises
    ------
    SlideError
        If that is so.
    """
    if READ.get(syntax) not in JPEG_2000 or photometric not in TRANSFORMED | {"YBR_FULL"}:
        return
    transformed = is_transformed(frame)
    if transformed is None or transformed == (photometric in TRANSFORMED):
        return
    states = "a transformation of RGB" if transformed else "no transformation of RGB"
    raise SlideError(
        f"{path}: declares {photometric}, but its frames state {states}: which colours they hold is not "
        "clear: export it again as RGB"
    )


def is_transformed(frame: bytes) -> bool | None:
    """Return whether a code stream of three components states a transformation; None for anything else."""
    at = frame.find(START) + 2
    while 2 <= at <= len(frame) - 4:
        marker, length = struct.unpack_from(">HH", frame, at)
        if marker == COD:
            return bool(frame[at + TRANSFORMATION]) if at + TRANSFORMATION < len(frame) else None
        if marker >> 8 != 0xFF or marker == SOT:
            return None
        at += 2 + length
    return None


def first_code_stream(path: Path) -> bytes:
    """Return the beginning of a file's first code stream of three components; empty if none is found.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    before = b""
    with open_plain(path) as file:
        while file.tell() < FURTHEST and (piece := file.read(PIECE)):
            at = (before + piece).find(START)
            if at >= 0:
                return (before + piece)[at:] + file.read(PIECE)
            before = piece[-len(START) :]
    return b""
