"""The formats that a result is exported to: each a name, and where its writer is to be found.

A writer is imported when its format is asked for: some need packages that not everybody has installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from wsi_seg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wsi_seg.exports.options import Options
    from wsi_seg.exports.source import Source
    from wsi_seg.exports.written_files import Written

    Write = Callable[[], Written]
    Prepare = Callable[[Source, Path | None, Options], Write]

OUTLINES = frozenset({"simplify_um", "min_area_um2", "include_background", "max_vertices"})
"""The options that decide which polygons there are."""


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes
    ----------
    says : str
        What it is for, in a few words, for the command's help.
    uses : frozenset of str
        The fields of `Options` that it uses; others are refused.
    place : str
        Its `Prepare`, as ``module:name``: a function of the result, the file that `-o` names (None for the
        format's own name in the result folder) and the options. It refuses what cannot be written, before
        the labels are read, and returns the function that writes.
    """

    says: str
    uses: frozenset[str]
    place: str

    @property
    def prepare(self) -> Prepare:
        """Import what prepares an export."""
        prepare: Prepare = resolve_name(self.place)
        return prepare


FORMATS = {
    "geojson": Format("for QuPath", OUTLINES | {"object_type", "gzip"}, "wsi_seg.exports.geojson:prepare"),
    "csv": Format("a line for each polygon", OUTLINES, "wsi_seg.exports.csv:prepare"),
    "parquet": Format("GeoParquet, for GeoPandas", OUTLINES | {"frame"}, "wsi_seg.exports.parquet:prepare"),
    "spatialdata": Format(
        "a store with labels, polygons and a picture",
        OUTLINES | {"image", "slide"},
        "wsi_seg.exports.spatialdata.store:prepare",
    ),
    "dicom-seg": Format(
        "a segmentation, for a DICOM slide",
        frozenset({"seg_type", "include_background", "codes", "slide"}),
        "wsi_seg.exports.dicom.prepare:prepare_seg",
    ),
    "dicom-ann": Format(
        "annotations, for a DICOM slide",
        OUTLINES | {"codes", "slide"},
        "wsi_seg.exports.dicom.prepare:prepare_ann",
    ),
}
"""The formats by name, in the order of the help."""


def format_named(name: str) -> Format:
    """Return a format.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    if name not in FORMATS:
        *names, last = FORMATS
        raise UsageError(f"--format {name}: use {', '.join(names)} or {last}")
    return FORMATS[name]
