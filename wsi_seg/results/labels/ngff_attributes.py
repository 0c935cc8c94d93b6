"""OME-NGFF metadata: layout, scales, names and colours of the images of a result.

Nothing here touches a file. Sources: OME-NGFF 0.5 (https://ngff.openmicroscopy.org/0.5/) and 0.4, sections
"multiscales", "omero", "labels" and "image-label".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from wsi_seg.errors import UsageError
from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID
from wsi_seg.slides.lattice import ALIGNMENT

if TYPE_CHECKING:
    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.slides.frames import Frames

NgffVersion = Literal["0.5", "0.4"]
JsonObject = dict[str, Any]

LONGEST_CHUNK = 512
SMALLEST_LEVEL = 256

OVERVIEW = ""
TISSUE = "labels/tissue"
CONFIDENCE = "labels/confidence"

METADATA_NAMES = frozenset({"zarr.json", ".zarray", ".zattrs", ".zgroup"})
"""Files of a Zarr that hold no pixels."""

WSI_SEG = "wsi_seg"
"""Attribute of `labels/tissue` for our own metadata: frames, schema, and what the run adds."""

ATTRIBUTES_VERSION = 1
"""Version of that attribute's form; see `wsi_seg.files.document`."""


@dataclass(frozen=True)
class PyramidLayout:
    """The values that determine the shapes of a result's arrays; small, and safe to send to workers.

    All images of a result have the same number of levels, given by the labels: NGFF requires that a label
    image has as many levels as the image it belongs to. Level ``k`` of the labels has label pixels of
    ``2**k`` on a side, level ``k`` of the overview of ``2**(overview_level + k)``.

    Parameters
    ----------
    frames : Frames
        Size and resolution of the label frame.
    schema : ClassSchema
        The classes of the label values.
    region : int
        Side of a region in label pixels, which is the side of a shard; a multiple of 32.
    overview_level : int
        The level of the labels at which the overview's first level lies.
    ngff : {"0.5", "0.4"}
        0.5 is Zarr v3, one file a region; 0.4 is Zarr v2, one file a chunk.
    confidence : bool
        Whether the result has `labels/confidence` beside `labels/tissue`.

    Raises
    ------
    UsageError
        If the region cannot be divided into chunks, or the labels have no such overview level.
    """

    frames: Frames
    schema: ClassSchema
    region: int
    overview_level: int
    ngff: NgffVersion = "0.5"
    confidence: bool = False

    def __post_init__(self) -> None:
        if self.region < ALIGNMENT or self.region % ALIGNMENT:
            raise UsageError(f"a region of {self.region} pixels does not fit: use a multiple of {ALIGNMENT}")
        if not 0 <= self.overview_level < self.levels:
            raise UsageError(
                f"an overview at level {self.overview_level} does not fit: "
                f"these labels have levels 0 to {self.levels - 1}"
            )

    @property
    def zarr_format(self) -> Literal[2, 3]:
        """The Zarr format that this NGFF version builds on."""
        return 3 if self.ngff == "0.5" else 2

    @property
    def chunk(self) -> int:
        """Side of a chunk: the largest divisor of a region's side up to 512 pixels, a multiple of 32."""
        fitting = range(ALIGNMENT, min(self.region, LONGEST_CHUNK) + 1, ALIGNMENT)
        return max(side for side in fitting if self.region % side == 0)

    @property
    def levels(self) -> int:
        """Number of levels, so that the smallest one has at most 256 pixels on its longer side."""
        return 1 + ((max(self.frames.label_size) - 1) // SMALLEST_LEVEL).bit_length()

    @property
    def label_images(self) -> tuple[str, ...]:
        """Paths of the label images inside the result."""
        return (TISSUE, CONFIDENCE) if self.confidence else (TISSUE,)

    def label_shape(self, level: int) -> tuple[int, int]:
        """Return (height, width) of the label frame at `level`; half pixels at the end count as whole."""
        width, height = self.frames.coarsened(2**level).label_size
        return height, width

    def overview_shape(self, level: int) -> tuple[int, int, int]:
        """Return (channel, height, width) of the overview at `level`."""
        return 3, *self.label_shape(self.overview_level + level)


def overview_attributes(layout: PyramidLayout, name: str) -> JsonObject:
    """Attributes of the root group: the overview, an RGB image with axes c, y, x."""
    axes = [{"name": "c", "type": "channel"}, *_space_axes()]
    datasets = [
        _dataset(layout, level, layout.overview_level + level, channels=1) for level in range(layout.levels)
    ]
    window = {"min": 0, "max": 255, "start": 0, "end": 255}
    channels = [
        {"label": label, "color": color, "window": window, "active": True}
        for label, color in (("Red", "FF0000"), ("Green", "00FF00"), ("Blue", "0000FF"))
    ]
    return _versioned(
        layout.ngff,
        {
            "multiscales": [_multiscale(layout, name, "mean", axes, datasets)],
            "omero": {"channels": channels, "rdefs": {"model": "color"}},
        },
    )


def labels_attributes(layout: PyramidLayout) -> JsonObject:
    """Attributes of the group `labels`: the names of the label images in it."""
    return _versioned(layout.ngff, {"labels": [path.removeprefix("labels/") for path in layout.label_images]})


def tissue_attributes(layout: PyramidLayout) -> JsonObject:
    """Attributes of `labels/tissue`: the label pyramid with its classes' names and colours.

    The background class and pixels outside of the region of interest are transparent, so that a viewer shows
    the slide there; unprocessed pixels are grey.
    """
    background_id = layout.schema.background_id
    named = [(c.id, c.name, (*c.color, 0 if c.id == background_id else 255)) for c in layout.schema.classes]
    named += [(OUTSIDE_ID, "outside", (0, 0, 0, 0)), (UNPROCESSED_ID, "unprocessed", (128, 128, 128, 255))]
    image_label = {
        "colors": [{"label-value": value, "rgba": list(rgba)} for value, _, rgba in sorted(named)],
        "properties": [{"label-value": value, "name": name} for value, name, _ in sorted(named)],
    }
    return _label_attributes(layout, "tissue", "mode", image_label)


def confidence_attributes(layout: PyramidLayout) -> JsonObject:
    """Attributes of `labels/confidence`: the model's confidence in the class, 255 for 1.0.

    It is an image of numbers, but it lies among the labels and not in an image group of its own: only there
    do readers find it when they open the result, in the same frame as the classes. NGFF requires integer
    labels, which these are. The 256 colours make a viewer show the meaning: the lower the confidence, the
    denser the orange; transparent where nothing was processed (0).
    """
    colors = [{"label-value": value, "rgba": [255, 120, 0, 255 - value]} for value in range(1, 256)]
    colors.insert(0, {"label-value": 0, "rgba": [0, 0, 0, 0]})
    return _label_attributes(layout, "confidence", "mean", {"colors": colors})


def _label_attributes(
    layout: PyramidLayout, name: str, reduction: str, image_label: JsonObject
) -> JsonObject:
    datasets = [_dataset(layout, level, level, channels=0) for level in range(layout.levels)]
    return _versioned(
        layout.ngff,
        {
            "multiscales": [_multiscale(layout, name, reduction, _space_axes(), datasets)],
            "image-label": {"version": layout.ngff, **image_label, "source": {"image": "../../"}},
        },
    )


def _multiscale(
    layout: PyramidLayout, name: str, reduction: str, axes: list[JsonObject], datasets: list[JsonObject]
) -> JsonObject:
    multiscale = {"name": name, "type": reduction, "axes": axes, "datasets": datasets}
    return {"version": "0.4", **multiscale} if layout.ngff == "0.4" else multiscale


def _dataset(layout: PyramidLayout, level: int, label_level: int, channels: int) -> JsonObject:
    """Scale and place of one level whose pixels are ``2**label_level`` label pixels on a side.

    NGFF's coordinates refer to the centres of pixels, and the origin is the centre of the first label pixel.
    So the first pixel of a coarser level, which covers several, is shifted.
    """
    factor = 2**label_level
    mpp_x, mpp_y = layout.frames.coarsened(factor).label_mpp
    x, y = layout.frames.label_to_ngff((factor / 2, factor / 2)).tolist()
    scale, translation = [1.0] * channels + [mpp_y, mpp_x], [0.0] * channels + [y, x]
    return {
        "path": str(level),
        "coordinateTransformations": [
            {"type": "scale", "scale": scale},
            {"type": "translation", "translation": translation},
        ],
    }


def _space_axes() -> list[JsonObject]:
    return [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]


def _versioned(ngff: NgffVersion, content: JsonObject) -> JsonObject:
    """Wrap metadata: 0.5 has one key that states the version, 0.4 has it among the attributes."""
    return {"ome": {"version": ngff, **content}} if ngff == "0.5" else content
