"""The contract of everything that decodes a slide file: levels, and any rectangle of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from wsi_seg.slides.lattice import Rect


@dataclass(frozen=True)
class SlideLevel:
    """One level of a slide: its size, and slide pixels per level pixel in x and y.

    `exact` tells whether the reader gives a pixel the same value whatever rectangle it is read in.
    """

    width: int
    height: int
    scale_x: float
    scale_y: float
    tile_width: int
    tile_height: int
    exact: bool


class Reader(Protocol):
    """An open slide file. May be used from several threads.

    Attributes
    ----------
    format : str
        The file's format, by OpenSlide's names.
    how : str
        The software that decodes the pixels, and the samples it takes, in a few words.
    properties : mapping of str to str
        The file's own statements, under OpenSlide's names.
    levels : tuple of SlideLevel
        From the finest to the coarsest.
    shifts : bool
        Whether pixels of a coarser level are read between those that are stored, by up to half a pixel.
    """

    @property
    def format(self) -> str: ...  # noqa: D102 - attributes are described above

    @property
    def how(self) -> str: ...  # noqa: D102

    @property
    def properties(self) -> Mapping[str, str]: ...  # noqa: D102

    @property
    def levels(self) -> tuple[SlideLevel, ...]: ...  # noqa: D102

    @property
    def shifts(self) -> bool: ...  # noqa: D102

    @property
    def icc_profile(self) -> bytes | None:
        """The slide's colour profile, if it carries one."""
        ...

    def read(self, index: int, rect: Rect) -> tuple[NDArray[np.uint8], list[Rect]]:
        """Read a rectangle of a level; a pixel's value does not depend on the rectangle it is read in.

        Parameters
        ----------
        index : int
            The level.
        rect : Rect
            In level pixels; it may reach beyond the level.

        Returns
        -------
        rgba : uint8 array, shape (height, width, 4)
            Not premultiplied; zero where nothing was recorded or nothing could be decoded.
        unreadable : list of Rect
            Tiles, in level pixels, that could not be decoded. Damage costs only the tiles that it is in.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...
