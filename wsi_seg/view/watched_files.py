"""See whether files are still those that something was made from, at the cost of looking at their dates."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

Stamp = tuple[int, int] | None


def stamp_of(path: Path) -> Stamp:
    """Return what differs once a file is another one or was written again; None if it is not there.

    Not its number on the disk: some file systems over a network give a file another one now and then.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


class Watch:
    """The files that something is made from, each as it was just before it was read.

    Attributes
    ----------
    opening : int
        Which opening of it this is, as the shelf counts: the next one is made from other files.
    """

    def __init__(self) -> None:
        self.opening = 0
        self._files: dict[Path, Stamp] = {}
        self._folders: dict[Path, bool] = {}
        self._looked = 0.0

    def file(self, *paths: Path) -> None:
        """Watch files, or the places where they may appear. To be called before they are read."""
        for path in paths:
            self._files.setdefault(path, stamp_of(path))

    def folder(self, *paths: Path) -> None:
        """Watch whether folders are there, whatever is written in them."""
        for path in paths:
            self._folders.setdefault(path, path.is_dir())

    def changed(self, within: float = 0.0) -> bool:
        """Return whether a file is another one by now, or was written again.

        Parameters
        ----------
        within : float
            If it was looked at within so many seconds, nothing is looked at again.
        """
        now = time.monotonic()
        if now - self._looked < within:
            return False
        self._looked = now
        return any(stamp_of(path) != stamp for path, stamp in self._files.items()) or any(
            path.is_dir() != there for path, there in self._folders.items()
        )

    def same_as(self, other: Watch) -> bool:
        """Return whether another one is of the same files in the same state."""
        return self._files == other._files and self._folders == other._folders

    def join(self, other: Watch) -> None:
        """Watch what another one watches, too, as it was then."""
        self._files = {**self._files, **other._files}
        self._folders = {**self._folders, **other._folders}
