"""Polygons of a finished result written to a file: in place of its own, or beside it."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING

from pydantic import ValidationError

from wsi_seg.errors import OutputError, UsageError
from wsi_seg.results.folder import folder_of
from wsi_seg.results.polygons.polygon_export import export_polygons
from wsi_seg.results.qupath.geojson_check import NAMES
from wsi_seg.results.summary import read_summary
from wsi_seg.results.targets import refuse_owned, target_for
from wsi_seg.results.whole import require_own
from wsi_seg.settings import ExportSettings

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.results.folder import ResultFolder
    from wsi_seg.results.labels.read_labels import LabelPyramid
    from wsi_seg.results.polygons.polygon_export import Exported

TABLES = {"csv": (".csv",), "parquet": (".parquet", ".geoparquet"), "ann.dcm": (".dcm",)}
"""Files of polygons that are not for QuPath: the ends of their names, by what they are."""


def write_polygons(
    pyramid: LabelPyramid,
    folder: ResultFolder | None,
    target: Path,
    settings: ExportSettings,
) -> Exported:
    """Write polygons for QuPath; where they are a result's own, its record and summary follow.

    Parameters
    ----------
    pyramid : LabelPyramid
    folder : ResultFolder or None
        That the labels are the result of, if any.
    target : Path
        What `file_for` returns beside it.
    settings : ExportSettings

    Raises
    ------
    DamagedError
        If the file would be written in place of what somebody edited.
    OutputError
        If the labels are damaged, a file cannot be written, or a run or another export works on the result.
    """
    own = folder if folder is not None and folder.owns_polygons(target) else None
    if own is None:
        return export_polygons(pyramid, target, settings)
    # Until record and summary say what the polygons are, nobody else may write here.
    with own.locked() if own.record_path.exists() else nullcontext():
        require_own(own, target)
        own.disown_polygons(target)
        report = export_polygons(pyramid, target, settings)
        own.remove_other_polygons(target)
        if own.summary_json.exists():
            drawn = read_summary(own.summary_json).with_polygons(
                report.outlined, settings.model_dump(mode="json")
            )
            drawn.write(own.summary_json, own.summary_csv)
        own.own_polygons(target)
        return report


def file_for(zarr: Path, out: Path | None, suffix: str) -> tuple[ResultFolder | None, Path]:
    """Return the folder that labels are the result of, if any, and the file to write to.

    Parameters
    ----------
    zarr : Path
    out : Path or None
        The file that is named, if any.
    suffix : {"geojson", "geojson.gz", "csv", "parquet", "ann.dcm"}
        What is to be written.

    Raises
    ------
    UsageError
        If no file is named for labels that are no folder's own; or the one that is named is another result's,
        no file of polygons, a folder, or is called what its content is not.
    """
    target = target_for(zarr, out, f"slide.{suffix}")
    if os.path.isdir(target):
        raise UsageError(f"{target}: is a folder: name a file, such as {target / f'slide.{suffix}'}")
    refuse_owned(target, zarr, polygons=suffix not in TABLES)
    _check_name(target, suffix)
    return folder_of(zarr), target


def packed_by_name(path: Path) -> bool:
    """Return whether a file of polygons is to be gzipped, by its name, as QuPath has it."""
    return path.suffix.lower() == ".gz"


def _check_name(target: Path, suffix: str) -> None:
    """See that a file is called what programs will take it for."""
    name, endings = target.name.lower(), TABLES.get(suffix, NAMES)
    bare = name if suffix in TABLES else name.removesuffix(".gz")
    if not bare.endswith(endings):
        use = f"it must end in {endings[0]}" if suffix in TABLES else "QuPath reads .geojson and .geojson.gz"
        raise UsageError(f"{target}: not a name for polygons in this format: {use}")


def settings_beside(folder: ResultFolder | None) -> ExportSettings:
    """Return the settings that a result's own polygons were drawn with, by its summary, else by its record.

    Raises
    ------
    OutputError
        If these cannot be read, or are of another version.
    """
    if folder is None:
        return ExportSettings()
    source, found = folder.summary_json, None
    if folder.summary_json.exists():
        found = read_summary(folder.summary_json).settings.get("export")
    elif folder.record_path.exists():
        source, record = folder.record_path, folder.read_record()
        found = None if record is None else record.export
    try:
        return ExportSettings.model_validate(found or {})
    except ValidationError as error:
        raise OutputError(
            f"{source}: its export settings are of another version: run `wsi-seg predict` again"
        ) from error
