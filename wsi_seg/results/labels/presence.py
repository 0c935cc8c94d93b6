"""Whether the labels of a result are there: looked at before what reads them is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

REMEDY = "give the slide.ome.zarr folder that `wsi-seg predict` wrote"


def require_labels(zarr: Path) -> None:
    """Refuse an OME-Zarr that is not there.

    Raises
    ------
    OutputError
    """
    if not zarr.is_dir():
        raise OutputError(f"{zarr}: no such folder: {REMEDY}")
