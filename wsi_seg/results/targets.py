"""Where an export may write: in the result folder under a name of its own, or where the user says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.errors import UsageError
from wsi_seg.results.folder import ResultFolder, folder_of

if TYPE_CHECKING:
    from pathlib import Path


def target_for(zarr: Path, out: Path | None, name: str) -> Path:
    """Return the path to write to.

    Parameters
    ----------
    zarr : Path
        The OME-Zarr that is exported.
    out : Path or None
        The path that is named, if any.
    name : str
        What it is called in the result folder, if none is named.

    Raises
    ------
    UsageError
        If none is named for an OME-Zarr that is no result folder's own, or one inside of it.
    """
    if out is None and folder_of(zarr) is None:
        raise UsageError(
            f"{zarr}: is not the slide.ome.zarr of a result folder: name the output file with -o"
        )
    target = zarr.parent / name if out is None else out
    if zarr.resolve() in target.resolve().parents:
        raise UsageError(f"{target}: is inside of the labels, which it would damage: name another with -o")
    return target


def refuse_owned(target: Path, zarr: Path, polygons: bool) -> None:
    """Refuse to write over what is a result's own.

    Parameters
    ----------
    target : Path
    zarr : Path
        The OME-Zarr that is exported.
    polygons : bool
        Whether the polygons of its own result may be replaced.

    Raises
    ------
    UsageError
        If the target is a result's polygons, one of its documents or its labels.
    """
    folder, there = folder_of(zarr), ResultFolder(target.resolve().parent)
    if not (there.zarr.exists() or there.record_path.exists()):
        return
    others = folder is None or folder.folder.resolve() != there.folder
    owned = there.owns_polygons(target)
    if owned and others:
        raise UsageError(f"{target}: is another result's own: name another file with -o")
    if (owned and not polygons) or target.resolve() in (*there.documents, there.zarr, there.work):
        raise UsageError(f"{target}: is a result's own, and no file for this: name another with -o")
