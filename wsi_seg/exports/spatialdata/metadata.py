"""The metadata of a SpatialData store: versions, axes, and how each element lies in micrometres.

Nothing here touches a file. SpatialData takes a pixel for the square that it covers, as the label frame does;
OME-NGFF, and so a result's own metadata, counts from the centres of pixels. All elements lie in one
coordinate system, micrometres from the corner of the slide's bounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsi_seg import __version__
from wsi_seg.results.labels.ngff_attributes import tissue_attributes
from wsi_seg.results.stated_of_labels import STATED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsi_seg.exports.stated_of_run import Stated
    from wsi_seg.results.labels.ngff_attributes import PyramidLayout

JsonObject = dict[str, Any]

SYSTEM = "global"
"""The name that functions of `spatialdata` go by if none is given."""

CONTAINER_VERSION, RASTER_VERSION, SHAPES_VERSION = "0.2", "0.3", "0.3"
NGFF_VERSION = "0.5-dev-spatialdata"
"""Of Zarr v3: NGFF 0.5, and transformations that it does not have yet."""

VERSIONS = "spatialdata_attrs"


def root_attributes(stated: Stated) -> JsonObject:
    """Return the attributes of the store; what is not SpatialData's own becomes ``sdata.attrs``."""
    own = {"version": CONTAINER_VERSION, "written_by": f"wsi-seg {__version__}"}
    return {VERSIONS: own, STATED: stated}


def raster_attributes(
    name: str, axes: str, shapes: Sequence[tuple[int, ...]], um: tuple[float, float], further: JsonObject
) -> JsonObject:
    """Return the attributes of an image or of labels.

    Parameters
    ----------
    name : str
    axes : {"cyx", "yx"}
    shapes : sequence of tuple of int
        Of its levels, each half of the one before.
    um : (float, float)
        Micrometres in x and y of a pixel of the first level.
    further : dict
        What NGFF has beside: channels of an image, names and colours of labels.
    """
    channel = [1.0] * (len(axes) - 2)
    datasets = [
        {
            "path": str(level),
            "coordinateTransformations": [{"type": "scale", "scale": [*channel, 2.0**level, 2.0**level]}],
        }
        for level in range(len(shapes))
    ]
    multiscale = {
        "name": name,
        "axes": _axes(axes),
        "datasets": datasets,
        "coordinateTransformations": [_to_um(axes, [*channel, um[1], um[0]])],
    }
    ome = {"version": NGFF_VERSION, "multiscales": [multiscale], **further}
    return {"ome": ome, VERSIONS: {"version": RASTER_VERSION}}


def labels_attributes(names: Sequence[str]) -> JsonObject:
    """Return the attributes of the group of labels: the names in it."""
    return {"ome": {"version": NGFF_VERSION, "labels": list(names)}}


def shapes_attributes() -> JsonObject:
    """Return the attributes of polygons whose coordinates are micrometres."""
    return {
        "encoding-type": "ngff:shapes",
        "axes": ["x", "y"],
        "coordinateTransformations": [_to_um("xy", None)],
        VERSIONS: {"version": SHAPES_VERSION},
    }


def class_labels(layout: PyramidLayout) -> JsonObject:
    """Return NGFF's names and colours of label values, as the result has them, without its picture."""
    own = tissue_attributes(layout)["ome"]["image-label"]
    return {"image-label": {key: own[key] for key in ("version", "colors", "properties")}}


def channels(**colors: str) -> JsonObject:
    """Return NGFF's names and colours (hexadecimal) of an image's channels."""
    window = {"min": 0, "max": 255, "start": 0, "end": 255}
    described = [
        {"label": label, "color": color, "window": window, "active": True} for label, color in colors.items()
    ]
    return {"omero": {"channels": described}}


def _to_um(axes: str, scale: list[float] | None) -> JsonObject:
    """Return the transformation from an element's own axes to the common coordinate system."""
    transformation = {"type": "identity"} if scale is None else {"type": "scale", "scale": scale}
    return {
        **transformation,
        "input": {"name": axes, "axes": _axes(axes, unit="unit")},
        "output": {"name": SYSTEM, "axes": _axes(axes)},
    }


def _axes(names: str, unit: str = "micrometer") -> list[JsonObject]:
    return [
        {"name": name, "type": "channel"} if name == "c" else {"name": name, "type": "space", "unit": unit}
        for name in names
    ]
