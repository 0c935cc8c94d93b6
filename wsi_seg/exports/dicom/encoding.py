"""Tiles of labels as frames of a segmentation: compressed label maps, or a bit a pixel for each segment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from highdicom.frame import encode_frame
from pydicom.pixels import get_encoder
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless, RLELossless

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from wsi_seg.exports.options import SegType

    Tile = NDArray[np.uint8]

TILE = 512
"""Side of a frame; the sides of a result's chunks, mostly."""


class Encoding(Protocol):
    """How tiles become frames.

    Attributes
    ----------
    seg_type : {"labelmap", "binary"}
    syntax : str
        UID of the transfer syntax.
    framed : bool
        Each frame has a length of its own, and lies in an item.
    sparse : bool
        Frames without a segment's pixels are left out, and each states its segment and place.
    compression : str or None
        What frames are compressed by.
    """

    @property
    def seg_type(self) -> SegType: ...  # noqa: D102 - attributes are described above

    @property
    def syntax(self) -> str: ...  # noqa: D102

    @property
    def framed(self) -> bool: ...  # noqa: D102

    @property
    def sparse(self) -> bool: ...  # noqa: D102

    @property
    def compression(self) -> str | None: ...  # noqa: D102

    def frames(self, tile: Tile) -> Iterator[tuple[int, bytes]]:
        """Yield the frames of a tile, and the number of the segment that each is of; 0 for all of them.

        Parameters
        ----------
        tile : uint8 array, shape (TILE, TILE)
            Numbers of segments; 0 for none.
        """
        ...


@dataclass(frozen=True)
class LabelMap:
    """One frame a tile, compressed without loss."""

    syntax: str
    seg_type: SegType = "labelmap"
    framed: bool = True
    sparse: bool = False
    _plain: dict[int, bytes] = field(default_factory=dict)

    @classmethod
    def best(cls) -> LabelMap:
        """Compress by JPEG-LS if what encodes it is installed, else by RLE, which takes twice the space."""
        return cls(str(JPEGLSLossless if get_encoder(JPEGLSLossless).is_available else RLELossless))

    @property
    def compression(self) -> str:
        """What it is compressed by."""
        return "JPEG-LS" if self.syntax == JPEGLSLossless else "RLE"

    def frames(self, tile: Tile) -> Iterator[tuple[int, bytes]]:
        """Yield the one frame of a tile; most tiles of a slide are glass throughout, and encoded once."""
        value = int(tile[0, 0])
        if (tile != value).any():
            yield 0, self._encode(tile)
            return
        if value not in self._plain:
            self._plain[value] = self._encode(tile)
        yield 0, self._plain[value]

    def _encode(self, tile: Tile) -> bytes:
        encoded: bytes = encode_frame(tile, self.syntax, 8, 8, "MONOCHROME2")
        return encoded


@dataclass(frozen=True)
class Binary:
    """A bit a pixel, one frame for each segment that a tile holds; not compressed."""

    syntax: str = str(ExplicitVRLittleEndian)
    seg_type: SegType = "binary"
    framed: bool = False
    sparse: bool = True
    compression: None = None

    def frames(self, tile: Tile) -> Iterator[tuple[int, bytes]]:
        """Yield a frame for each segment in a tile."""
        for number in np.flatnonzero(np.bincount(tile.reshape(-1), minlength=2)[1:]).tolist():
            yield number + 1, np.packbits(tile == number + 1, bitorder="little").tobytes()
