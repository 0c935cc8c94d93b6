"""Files of the output folder that workers read: this content, or none."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Pinned:
    """A file by its path and its content."""

    path: Path
    sha256: str

    @classmethod
    def of(cls, path: Path, content: bytes) -> Pinned:
        """Pin a file to what it is to hold."""
        return cls(path, hashlib.sha256(content).hexdigest())

    def check(self) -> None:
        """Refuse a file that is not there, or holds something else.

        Raises
        ------
        OutputError
            If so.
        """
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be read ({error.strerror}): the output folder was moved, or is not the "
                "same here as where the run was begun: mount it under the same path everywhere, and run again"
            ) from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise OutputError(
                f"{self.path}: is not what this run put there: another run took the folder, or it is not "
                "the same here as where the run was begun: mount it under the same path everywhere, and run "
                "again, with --overwrite if the file itself was changed"
            )
