"""The finished result that is exported."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from wsi_seg.results.folder import folder_of, labels_in, require_finished
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.polygon_files import settings_beside

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.results.folder import ResultFolder
    from wsi_seg.results.labels.read_labels import LabelPyramid
    from wsi_seg.results.record import RunRecord
    from wsi_seg.settings import ExportSettings


@dataclass(frozen=True)
class Source:
    """A finished result, or its OME-Zarr alone.

    Attributes
    ----------
    pyramid : LabelPyramid
        Its labels.
    """

    pyramid: LabelPyramid

    @classmethod
    def at(cls, result: Path) -> Source:
        """Open a result folder, or an OME-Zarr; whether its files are as they were written is not looked at.

        Raises
        ------
        OutputError
            If it is no result, or not finished.
        """
        zarr = labels_in(result)
        require_finished(zarr)
        return cls(read_labels(zarr))

    @property
    def zarr(self) -> Path:
        """The OME-Zarr."""
        return self.pyramid.path

    @property
    def folder(self) -> ResultFolder | None:
        """The result folder that the OME-Zarr lies in; None for one that lies alone."""
        return folder_of(self.zarr)

    @cached_property
    def record(self) -> RunRecord | None:
        """The record of the run; None for an OME-Zarr alone, or a copy without hidden files.

        Raises
        ------
        OutputError
            If it is damaged.
        """
        folder = self.folder
        return folder.read_record() if folder is not None and folder.record_path.exists() else None

    @cached_property
    def own_settings(self) -> ExportSettings:
        """The settings of the result's own polygons; the defaults for an OME-Zarr alone.

        Raises
        ------
        OutputError
            If they cannot be read.
        """
        return settings_beside(self.folder)
