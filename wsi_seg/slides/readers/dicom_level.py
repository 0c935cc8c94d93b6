"""What a level of a DICOM slide is made of: frames, in one file or several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


ITEM, ITEM_HEADER = b"\xfe\xff\x00\xe0", 8
"""The tag before each fragment of a frame; the bytes of that tag and of the length after it."""


@dataclass(frozen=True)
class Part:
    """One file of a level.

    Attributes
    ----------
    path : Path
    first : int
        Number of its first frame in the level.
    positions, lengths : int64 array, shape (frames,)
        Where each frame lies in the file.
    """

    path: Path
    first: int
    positions: NDArray[np.int64]
    lengths: NDArray[np.int64]


@dataclass(frozen=True)
class Encoding:
    """How all frames of a level are stored.

    Attributes
    ----------
    syntax : str
        UID of the transfer syntax.
    framed : bool
        Each frame lies in items, with the item's length before it; native frames lie one after the other.
    photometric : str
        What the samples are, by DICOM's names.
    samples : int
        Per pixel.
    width, height : int
        Of a frame.
    """

    syntax: str
    framed: bool
    photometric: str
    samples: int
    width: int
    height: int

    @property
    def bytes(self) -> int:
        """What a frame decodes to."""
        return self.samples * self.width * self.height


@dataclass(frozen=True)
class DicomLevel:
    """One level of a slide.

    Attributes
    ----------
    width, height : int
    mpp : (float, float) or None
        Micrometres per level pixel in x and y, if stated.
    encoding : Encoding
    frames : int32 array, shape (rows, columns)
        Number of the frame that holds each tile; -1 for a tile that the slide omits.
    parts : tuple of Part
        In the order of their frames.
    """

    width: int
    height: int
    mpp: tuple[float, float] | None
    encoding: Encoding
    frames: NDArray[np.int32]
    parts: tuple[Part, ...]
