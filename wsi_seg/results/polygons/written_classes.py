"""What is written of a result's shapes: of which classes, and as what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wsi_seg.errors import OutputError
from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID, ClassSchema, Rgb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from wsi_seg.results.polygons.complete_shapes import Shape

UNPROCESSED: tuple[str, Rgb] = ("Unprocessed", (128, 128, 128))


@dataclass(frozen=True)
class GeoJsonSettings:
    """What is written, and as what.

    Attributes
    ----------
    object_type : {"annotation", "detection"}
        What the shapes become in QuPath: annotations can be edited, detections are lighter.
    include_background : bool
        Write the schema's background class too.
    include_unprocessed : bool
        Write pixels that were never analysed, as a class "Unprocessed".
    gzip : bool
        Compress the file.
    """

    object_type: Literal["annotation", "detection"] = "annotation"
    include_background: bool = False
    include_unprocessed: bool = False
    gzip: bool = True


def written_classes(schema: ClassSchema, settings: GeoJsonSettings) -> dict[int, tuple[str, Rgb]]:
    """Return name and colour of the label values that are written."""
    classes = {c.id: (c.name, c.color) for c in schema.classes}
    if not settings.include_background and schema.background_id is not None:
        del classes[schema.background_id]
    if settings.include_unprocessed:
        classes[UNPROCESSED_ID] = UNPROCESSED
    return classes


def left_out(schema: ClassSchema, settings: GeoJsonSettings) -> frozenset[int]:
    """Return the known label values that are not written."""
    return frozenset({*schema.ids, OUTSIDE_ID, UNPROCESSED_ID}) - written_classes(schema, settings).keys()


def visible(
    shapes: Iterable[Shape], classes: dict[int, tuple[str, Rgb]], schema: ClassSchema, path: Path
) -> Iterator[Shape]:
    """Pass on the shapes of classes that are written.

    Raises
    ------
    OutputError
        Naming `path`, if a label value is not in the schema.
    """
    known = {*schema.ids, OUTSIDE_ID, UNPROCESSED_ID}
    for shape in shapes:
        if shape.class_id not in known:
            raise OutputError(
                f"{path}: the labels hold class {shape.class_id}, which is not in the class schema "
                f"{schema.name!r}: use the schema that the labels were made with"
            )
        if shape.class_id in classes:
            yield shape
