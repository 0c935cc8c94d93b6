"""What an exported file states of the result that it is made from, the settings of its run included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsi_seg.results.stated_of_labels import StatedOfLabels, stated_of_labels

if TYPE_CHECKING:
    from wsi_seg.exports.source import Source
    from wsi_seg.settings import ExportSettings


class Stated(StatedOfLabels):
    """What a file states: see docs/files.md."""

    software: dict[str, str] | None
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
        JSON-able. The versions of the run come from its record; an OME-Zarr alone has none.

    Raises
    ------
    OutputError
        If the record is damaged.
    """
    record = source.record
    stated_by_labels = stated_of_labels(source.pyramid, polygons)
    return {
        **stated_by_labels,
        "labels": stated_by_labels["labels"] if record is None else record.labels,
        "software": None if record is None else record.software,
        "schema": source.pyramid.schema.model_dump(mode="json"),
    }
