"""The ledger of a run: one small file, an entry, for each finished region.

An entry is written after the region's pixels, in one step. A region with an entry is finished; any other is
done again. That holds for any storage, and after the process was killed at any moment. An entry begins with
its own digest, so a damaged one counts as missing. It holds the digests of the region's files, so that damage
to these is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.files.digests import digest_of
from wsi_seg.files.document import Document, DocumentError, NewerError, parse_object
from wsi_seg.files.files import remove, write_text, writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX = ".record"
STRIKE = "delete it, and the region is done again"


class LedgerEntry(Document):
    """A ledger entry: what is known about a finished region.

    Attributes
    ----------
    name : str
        The region's name in its lattice.
    pixels : dict
        Number of label pixels by label value.
    unreadable : tuple of (y0, x0, y1, x1)
        Tiles of the slide, in label pixels, that could not be decoded and that lie in this region or reach
        into it.
    patches : int
        Number of patches that were segmented.
    seconds : dict
        Time spent on "read", "model" and "write".
    files : dict
        Digest of each file of the region, by path inside the OME-Zarr. Chunks of fill value have no file.
    made_from : str or None
        Digest of what the labels are made from. Equal in all runs on them; None in earlier entries.
    """

    name: str
    pixels: dict[int, int]
    unreadable: tuple[tuple[int, int, int, int], ...]
    patches: int
    seconds: dict[str, float]
    files: dict[str, str]
    made_from: str | None = None


@dataclass(frozen=True)
class Ledger:
    """The entries of one run, in one folder."""

    folder: Path

    def add(self, entry: LedgerEntry) -> None:
        """Add the entry of a finished region.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        content = entry.model_dump_json()
        write_text(self._path(entry.name), f"{digest_of(content.encode())}\n{content}\n")

    def entries(self) -> Iterator[LedgerEntry]:
        """Yield the entries of finished regions; a damaged one counts as missing.

        Raises
        ------
        NewerError
            If an entry is of a newer wsi-seg, whose work this version must not replace.
        """
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            entry = _read(path)
            if entry is not None and path == self._path(entry.name):
                yield entry

    def names(self) -> set[str]:
        """Return the names of all regions with an entry, even a damaged one."""
        return {path.name.removesuffix(SUFFIX) for path in self.folder.glob(f"*{SUFFIX}")}

    def strike(self, name: str) -> None:
        """Remove the entry of a region.

        Raises
        ------
        OutputError
            If that cannot be done.
        """
        with writing(self.folder):
            self._path(name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all entries.

        Raises
        ------
        OutputError
            If that cannot be done.
        """
        with writing(self.folder):
            remove(self.folder)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{SUFFIX}"


def _read(path: Path) -> LedgerEntry | None:
    try:
        digest, _, content = path.read_bytes().partition(b"\n")
    except OSError:  # a defect of the disk
        return None
    content = content.removesuffix(b"\n")
    if digest != digest_of(content).encode():
        return None
    try:
        return LedgerEntry.of(parse_object(content, path, STRIKE), path, STRIKE)
    except NewerError:
        raise
    except DocumentError:  # of no known format
        return None
