"""What is asked of an export, whatever the format; each format uses some of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from wsi_seg.settings import ExportSettings

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.exports.source import Source


Frame = Literal["slide", "qupath", "label", "um"]

SegType = Literal["labelmap", "binary"]

SEG_TYPES: tuple[SegType, ...] = ("labelmap", "binary")
"""How DICOM holds a segmentation: one number a pixel, or a bit a pixel for each segment."""

Image = Literal["overview", "slide", "none"]

IMAGES: tuple[Image, ...] = ("overview", "slide", "none")
"""The pictures that may lie beside labels: the result's own, and the slide at the labels' resolution."""

FRAMES: dict[Frame, str] = {
    "slide": "level-0 pixels",
    "qupath": "level-0 pixels from the corner of the slide's bounds",
    "label": "label pixels",
    "um": "micrometres from the corner of the slide's bounds",
}
"""The frames that coordinates may be in, and what they count."""


@dataclass(frozen=True)
class Options:
    """What is asked of an export; None for what is not.

    Attributes
    ----------
    simplify_um, min_area_um2, object_type, gzip, include_background, max_vertices
        As in `wsi_seg.settings.ExportSettings`. What is not asked is as in the result's own polygons.
    frame : {"slide", "qupath", "label", "um"} or None
        The frame of the coordinates.
    image : {"overview", "slide", "none"} or None
        The picture beside the labels.
    slide : Path or None
        Where the slide lies now.
    seg_type : {"labelmap", "binary"} or None
        How DICOM holds the segmentation.
    codes : str or None
        A class schema, by name or path, whose codes are taken for classes that have none.
    """

    simplify_um: float | None = None
    min_area_um2: float | None = None
    object_type: str | None = None
    gzip: bool | None = None
    include_background: bool | None = None
    max_vertices: int | None = None
    frame: Frame | None = None
    image: Image | None = None
    slide: Path | None = None
    seg_type: SegType | None = None
    codes: str | None = None

    @property
    def given(self) -> dict[str, object]:
        """What is asked, by the names of the fields."""
        return {
            field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None
        }

    @property
    def of_polygons(self) -> dict[str, object]:
        """The part of it that decides which polygons there are, and as what they are written.

        It may be checked alone by `ExportSettings`: no setting there depends on another.
        """
        return {name: value for name, value in self.given.items() if name in ExportSettings.model_fields}

    def drawn(self, source: Source) -> ExportSettings:
        """Return the settings of a result's own polygons, changed as asked for.

        Raises
        ------
        OutputError
            If the own settings cannot be read.
        """
        return ExportSettings.model_validate({**source.own_settings.model_dump(), **self.of_polygons})
