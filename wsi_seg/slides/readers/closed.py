"""What stands in a slide's place of a reader once it is closed: a read says so, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from wsi_seg.errors import SlideError

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.slides.lattice import Rect
    from wsi_seg.slides.readers.contract import Reader


class ClosedReader:
    """A reader that was closed: a `wsi_seg.slides.readers.contract.Reader` that has no pixels any more.

    Libraries differ in what they do with a closed file: an error of ctypes, of theirs, or an assertion.

    Parameters
    ----------
    path : Path
        Named in errors.
    reader : Reader
        The reader, whose file is closed here.
    """

    def __init__(self, path: Path, reader: Reader) -> None:
        self.path = path
        self.format = reader.format
        self.how = reader.how
        self.properties = reader.properties
        self.levels = reader.levels
        self.shifts = reader.shifts
        reader.close()

    @property
    def icc_profile(self) -> bytes | None:
        """No longer known: raises SlideError."""
        raise self._closed()

    def read(self, index: int, rect: Rect) -> NoReturn:
        """Refuse to read.

        Raises
        ------
        SlideError
            Always.
        """
        raise self._closed()

    def close(self) -> None:
        """Do nothing: the file is closed."""

    def _closed(self) -> SlideError:
        return SlideError(f"{self.path}: is closed: open it again")
