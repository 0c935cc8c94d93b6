"""Decode a JPEG by libjpeg-turbo, and take a warning for damage.

libjpeg fills up what is damaged, and warns. OpenSlide refuses a tile with warnings; imagecodecs and Pillow
keep them to themselves. simplejpeg reports them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import simplejpeg

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GREY, RGB, YCBCR = 1, 2, 6
"""Values of the TIFF tag PhotometricInterpretation."""

START, END = b"\xff\xd8", b"\xff\xd9"
BASELINE, EXTENDED, PROGRESSIVE = 0xC0, 0xC1, 0xC2
START_OF_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
APPLICATION = frozenset(range(0xE0, 0xF0))
COLOUR_TRANSFORM = {
    GREY: b"",
    RGB: b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0",
    YCBCR: b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\1",
}
"""Adobe's segment, which states whether a JPEG's colours are transformed: here too, the TIFF decides that."""

Samples = Literal["GRAY", "RGB", "RGBA"]


class NoPlainJpegError(Exception):
    """A JPEG of another process than libjpeg's common ones, such as a lossless one."""


@dataclass(frozen=True)
class StrictJpeg:
    """What the JPEGs of a TIFF's page have in common.

    Attributes
    ----------
    header : bytes
        Its beginning, the statement of its colours, and tables.
    """

    header: bytes

    @classmethod
    def of(cls, tables: bytes | None, photometric: int) -> Self | None:
        """Take the page's tables and the number of its colours; None if there is no decoding them so."""
        if photometric not in COLOUR_TRANSFORM:
            return None
        body = b"" if tables is None else _without_applications(tables)
        if body is None:
            return None
        return cls(START + COLOUR_TRANSFORM[photometric] + body.removesuffix(END))

    def decode(self, data: bytes, samples: Samples) -> NDArray[np.uint8] | None:
        """Decode a JPEG, shape (height, width, samples); None if it is damaged, or gives a warning.

        Raises
        ------
        NoPlainJpegError
            If it is none of 8 bits, in the baseline, extended or progressive process.
        """
        body = _without_applications(data)
        if body is None:
            return None
        try:
            pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(self.header + body, samples)
        except ValueError:
            return None
        return pixels


def _without_applications(data: bytes) -> bytes | None:
    """Return a JPEG without its beginning and the segments of applications, which may state other colours.

    None if it is damaged before its first frame.

    Raises
    ------
    NoPlainJpegError
        As `StrictJpeg.decode`.
    """
    if not data.startswith(START):
        return None
    kept, at = [], len(START)
    while at + 5 <= len(data):
        mark, code, length, precision = struct.unpack_from(">BBHB", data, at)
        if mark != 0xFF:
            return None
        if code in START_OF_FRAMES:
            if code not in (BASELINE, EXTENDED, PROGRESSIVE) or precision != 8:
                raise NoPlainJpegError
            break
        if code not in APPLICATION:
            kept.append(data[at : at + 2 + length])
        at += 2 + length
    return b"".join([*kept, data[at:]])
