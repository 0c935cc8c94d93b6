"""What the page shows of one slide: its pixels, its classes, its shapes, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID
from wsi_seg.slides.lattice import Rect
from wsi_seg.view.tile_grid import TILE
from wsi_seg.view.watched_files import Watch

if TYPE_CHECKING:
    from pydantic import JsonValue

    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.results.summary import Summary
    from wsi_seg.slides.frames import Bounds
    from wsi_seg.view.drawn_outlines import Outlines
    from wsi_seg.view.label_tiles import LabelTiles
    from wsi_seg.view.polygons_by_place import Polygons
    from wsi_seg.view.tile_grid import Grid
    from wsi_seg.view.unfinished import Run

Json = dict[str, "JsonValue"]


class Picture(Protocol):
    """The slide, tile by tile; level 0 has the slide's own pixels, from the corner of its bounds."""

    @property
    def grid(self) -> Grid: ...  # noqa: D102 - described above

    def tile(self, level: int, rect: Rect) -> bytes:
        """Return the pixels of a rectangle of a level as the bytes of a JPEG file."""

    def close(self) -> None:
        """Close the slide's file."""


@dataclass(frozen=True)
class Shown:
    """One slide, open.

    Attributes
    ----------
    name, path : str
        What it is called, and the file or folder that was named.
    bounds : Bounds
    mpp : (float, float) or None
        Micrometres per slide pixel; None if the file does not state it.
    picture : Picture
    classes : LabelTiles or None
        Of a result.
    polygons : Polygons or None
        Those of the result, for the pointer.
    outlines : Outlines
        Of annotation files.
    summary : Summary or None
    notices : tuple of str
        What is wrong, first of all that is said.
    remarks : tuple of str
        What else is said of the result.
    run : Run or None
        That of a result that is still being written.
    watch : Watch
        The files that it was made from.
    """

    name: str
    path: str
    bounds: Bounds
    mpp: tuple[float, float] | None
    picture: Picture
    outlines: Outlines
    classes: LabelTiles | None = None
    polygons: Polygons | None = None
    summary: Summary | None = None
    notices: tuple[str, ...] = ()
    remarks: tuple[str, ...] = field(default=())
    run: Run | None = None
    watch: Watch = field(default_factory=Watch)

    @property
    def moved_on(self) -> bool:
        """Whether the files that it was made from have changed, and it has to be opened again."""
        return self.watch.changed()

    @property
    def version(self) -> int:
        """Another one whenever more is done of a result that is being written."""
        return 0 if self.run is None else 1 + len(self.run.done)

    def about(self) -> Json:
        """Return all that the page has to know before it asks for tiles."""
        return {
            "name": self.name,
            "path": self.path,
            "opening": self.watch.opening,
            "bounds": self.bounds.model_dump(),
            "mpp": None if self.mpp is None else list(self.mpp),
            "tile": TILE,
            "slide": _levels(self.picture.grid),
            "labels": None if self.classes is None else _labels(self.classes),
            "legend": self._legend(),
            "model": None if self.summary is None else self.summary.model,
            "status": None if self.summary is None else str(self.summary.status),
            "tissue_mm2": None if self.summary is None else self.summary.tissue_mm2,
            "unprocessed_mm2": 0.0 if self.summary is None else self.summary.unprocessed_mm2,
            "notices": list(self.notices),
            "remarks": list(self.remarks),
            "outlines": self.outlines.about(),
            "run": None if self.run is None else self.run.about(),
        }

    def at(self, qupath_xy: tuple[float, float]) -> Json:
        """Return what is at a point of the QuPath frame.

        Raises
        ------
        OutputError
            If the result's files are damaged.
        """
        found: Json = {}
        if self.classes is None:
            return found
        labels = self.classes.labels
        x, y = (int(value) for value in labels.frames.qupath_to_label(qupath_xy).tolist())
        width, height = labels.frames.label_size
        if not (0 <= x < width and 0 <= y < height):
            return found
        pixel = Rect(y, x, y + 1, x + 1)
        value = int(labels.read(pixel)[0, 0])
        found["class"] = _name_of(value, labels.schema, self.run)
        found["id"] = value
        if labels.confidence and value not in {OUTSIDE_ID, UNPROCESSED_ID}:
            found["confidence"] = int(labels.read_confidence(pixel)[0, 0]) / 255
        if self.polygons is not None:
            found["polygon"] = self.polygons.at(qupath_xy)
        return found

    def close(self) -> None:
        """Close the slide's file."""
        self.picture.close()

    def _legend(self) -> list[JsonValue]:
        if self.classes is None:
            return []
        schema = self.classes.labels.schema
        figures = {} if self.summary is None else {c.id: c for c in self.summary.classes}
        return [
            {
                "id": c.id,
                "name": c.name,
                "color": list(c.color),
                "background": c.id == schema.background_id,
                "mm2": figures[c.id].mm2 if c.id in figures else None,
                "share": figures[c.id].share if c.id in figures else None,
                "polygons": figures[c.id].polygons if c.id in figures else None,
            }
            for c in schema.classes
        ]


def _levels(grid: Grid) -> Json:
    return {"width": grid.width, "height": grid.height, "finest": grid.finest, "coarsest": grid.coarsest}


def _labels(classes: LabelTiles) -> Json:
    frames = classes.labels.frames
    return {
        **_levels(classes.grid),
        "finest_outlines": classes.outline_grid.finest,
        "downsample": list(frames.downsample),
        "confidence": bool(classes.labels.confidence),
    }


def _name_of(value: int, schema: ClassSchema, run: Run | None) -> str:
    if value == OUTSIDE_ID:
        return "Not analysed"
    if value == UNPROCESSED_ID:
        return "Could not be read" if run is None or run.exporting else "Not done yet, or could not be read"
    return next((c.name for c in schema.classes if c.id == value), f"class {value}")
