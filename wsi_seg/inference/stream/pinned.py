"""Files of the output folder that workers read; their content is checked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path


ANOTHER_FOLDER = "is not the same here as where the run was started: mount it under the same path everywhere"


@dataclass(frozen=True)
class Pinned:
    """A file with its path and the digest of its content."""

    path: Path
    sha256: str

    @classmethod
    def of(cls, path: Path, content: bytes) -> Pinned:
        """Pin a file to its expected content."""
        return cls(path, hashlib.sha256(content).hexdigest())

    def check(self, elsewhere: bool) -> None:
        """Refuse a file that is missing, or has other content; see `read`."""
        self.read(elsewhere)

    def read(self, elsewhere: bool) -> bytes:
        """Read the file, and refuse it if it is missing, or has other content.

        Parameters
        ----------
        elsewhere : bool
            Whether this is a worker of a cluster, where the path may mean another folder.

        Raises
        ------
        OutputError
            If it is missing, or has other content.
        """
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise OutputError(f"{self.path}: {_unread(error, elsewhere)}, and run again") from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            or_other = f", or it {ANOTHER_FOLDER}" if elsewhere else ""
            raise OutputError(
                f"{self.path}: is not the file that this run wrote: another run took the folder{or_other}: "
                "run again, with --overwrite if the file itself was changed"
            )
        return content


def _unread(error: OSError, elsewhere: bool) -> str:
    if elsewhere:
        return f"cannot be read ({error.strerror}): the output folder was moved, or {ANOTHER_FOLDER}"
    if isinstance(error, FileNotFoundError):
        return "was removed or moved during the run: put the output folder back"
    return f"cannot be read ({error.strerror}): make it readable"
