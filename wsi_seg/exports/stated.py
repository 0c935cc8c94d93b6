"""What an exported file states of the result that it is made from, wherever its format has a place for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from wsi_seg import __version__

if TYPE_CHECKING:
    from wsi_seg.exports.source import Source
    from wsi_seg.settings import ExportSettings

STATED = "wsi_seg"
"""The name under which files have it, where they have names."""

STATED_VERSION = 1
"""Version of its form; see `wsi_seg.files.document`."""


class Stated(TypedDict):
    """What a file states: see docs/files.md."""

    format_version: int
    slide: str | None
    model: str | None
    model_fingerprint: str | None
    notice: str | None
    segmented_by: str | None
    exported_by: str
    labels: dict[str, Any] | None
    software: dict[str, str] | None
    polygons: dict[str, Any] | None
    frames: dict[str, Any]
    schema: dict[str, Any]


def stated(source: Source, polygons: ExportSettings | None = None) -> Stated:
    """Return what a result was made from, and by, as JSON; no folder of the machine is named in it.

    Parameters
    ----------
    source : Source
    polygons : ExportSettings, optional
        The settings of the polygons that are exported; None for a file without any.

    Returns
    -------
    Stated
        JSON-able. Settings and versions of the run come from its record; an OME-Zarr alone has none.

    Raises
    ------
    OutputError
        If the record is damaged.
    """
    pyramid, record = source.pyramid, source.record
    frames, schema, own = pyramid.frames, pyramid.schema, pyramid.attributes
    drawn = None if polygons is None else polygons.model_dump(mode="json", exclude={"gzip", "object_type"})
    return {
        "format_version": STATED_VERSION,
        "slide": own.get("slide"),
        "model": own.get("model"),
        "model_fingerprint": own.get("model_fingerprint"),
        "notice": own.get("notice"),
        "segmented_by": own.get("wsi_seg_version"),
        "exported_by": __version__,
        "labels": None if record is None else record.labels,
        "software": None if record is None else record.software,
        "polygons": drawn,
        "frames": frames.model_dump(mode="json"),
        "schema": schema.model_dump(mode="json"),
    }
