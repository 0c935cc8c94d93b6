"""What a file that is made of a result states of it, wherever its format has a place for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from wsi_seg import __version__

if TYPE_CHECKING:
    from wsi_seg.results.labels.read_labels import LabelPyramid
    from wsi_seg.settings import ExportSettings

STATED = "wsi_seg"
"""The name under which files have it, where they have names."""

STATED_VERSION = 1
"""Version of its form; see `wsi_seg.files.document`."""


class StatedOfLabels(TypedDict):
    """What follows from the labels alone: see docs/files.md."""

    format_version: int
    slide: str | None
    model: str | None
    model_fingerprint: str | None
    notice: str | None
    segmented_by: str | None
    exported_by: str
    polygons: dict[str, Any] | None
    labels: dict[str, Any] | None
    frames: dict[str, Any]


def stated_of_labels(pyramid: LabelPyramid, polygons: ExportSettings | None) -> StatedOfLabels:
    """Return what labels state of themselves, as JSON; no folder of the machine is named in it.

    Parameters
    ----------
    pyramid : LabelPyramid
    polygons : ExportSettings or None
        The settings of the polygons that are written; None for a file without any.
    """
    own = pyramid.attributes
    return {
        "format_version": STATED_VERSION,
        "slide": own.get("slide"),
        "model": own.get("model"),
        "model_fingerprint": own.get("model_fingerprint"),
        "notice": own.get("notice"),
        "segmented_by": own.get("wsi_seg_version"),
        "exported_by": __version__,
        "polygons": None
        if polygons is None
        else polygons.model_dump(mode="json", exclude={"gzip", "object_type"}),
        "labels": own.get("labels"),
        "frames": pyramid.frames.model_dump(mode="json"),
    }
