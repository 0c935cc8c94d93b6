"""What an export has written, as users are told it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from wsi_seg.wording import counted

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.results.polygons.polygon_export import Exported
    from wsi_seg.settings import ExportSettings


@dataclass(frozen=True)
class Written:
    """A file or a folder that an export has written.

    Attributes
    ----------
    path : Path
    what : str
        What is in it, in a few words.
    lines : tuple of str
        How it was made, and what could not be done as asked.
    """

    path: Path
    what: str
    lines: tuple[str, ...] = ()

    @classmethod
    def of_polygons(cls, path: Path, report: Exported, settings: ExportSettings, *lines: str) -> Self:
        """Describe a file of polygons; further lines come after those on how they were made."""
        shapes, vertices = sum(report.file.polygons.values()), report.file.vertices
        drawn = (
            f"islands from {settings.min_area_um2:g} um2, outlines simplified by {report.outlined.simplify}"
        )
        remarks = (counted(count, what) for what, count in report.remarks.items())
        return cls(
            path, f"{counted(shapes, 'shapes')}, {counted(vertices, 'vertices')}", (drawn, *lines, *remarks)
        )
