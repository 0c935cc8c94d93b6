"""The ledger of a run: one small file for each region that is finished.

A region's record is written after its pixels, in one step. What is on record is done; what is not is done
again. That holds for any storage and after any kill.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from wsi_seg.files import write_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class RegionRecord(BaseModel):
    """What there is to know of a finished region.

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
        Patches that went through the network.
    seconds : dict
        Time spent on "read", "model" and "write".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    pixels: dict[int, int]
    unreadable: tuple[tuple[int, int, int, int], ...]
    patches: int
    seconds: dict[str, float]


@dataclass(frozen=True)
class Ledger:
    """The records of one run, in one folder."""

    folder: Path

    def add(self, record: RegionRecord) -> None:
        """Put a finished region on record.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        write_text(self.folder / f"{record.name}.json", record.model_dump_json())

    def records(self) -> Iterator[RegionRecord]:
        """Yield the records of all finished regions; one that is damaged counts as not there."""
        for path in sorted(self.folder.glob("*.json")):
            try:
                yield RegionRecord.model_validate_json(path.read_text(encoding="utf-8"))
            except (ValidationError, UnicodeDecodeError):
                path.unlink()
