"""The summary of one slide's result: areas, polygons, times, versions; as JSON and as CSV."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from wsi_seg.files.csvlines import csv_line
from wsi_seg.files.document import Document
from wsi_seg.files.files import write_text
from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID
from wsi_seg.results.familiarity import Familiarity
from wsi_seg.slides.levels import LevelRead

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.slides.frames import Frames


CSV_HEADER = (
    "slide", "class_id", "class", "mm2", "share", "polygons",
    "sieved_mm2", "outlined_mm2", "simplify_um", "no_polygons",
)  # fmt: skip


LEFT_OUT = "background: outlined with --include-background only"


class Status(StrEnum):
    """The outcome of a slide's run."""

    FINISHED = "finished"
    NOTHING_FOUND = "finished: nothing but background was found"
    PARTLY_UNREADABLE = "finished, with unreadable parts left unprocessed"


class ClassSummary(BaseModel):
    """One class in one slide.

    Attributes
    ----------
    mm2 : float
        Area by label pixels.
    share : float or None
        Share of the processed area without background; None for the background class itself.
    polygons : int
        Shapes in the GeoJSON.
    sieved_mm2 : float or None
        Area by label pixels after small islands were merged into their neighbours; None in summaries of
        earlier versions.
    outlined_mm2 : float or None
        Area of the shapes in the GeoJSON; None as above, and for a background that is not outlined.
    simplify_um : float or None
        Tolerance of its outlines, the mean over their length; None if it has none.
    no_polygons : str or None
        The reason why a class with an area has no shape.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: int
    name: str
    mm2: float
    share: float | None
    polygons: int
    sieved_mm2: float | None = None
    outlined_mm2: float | None = None
    simplify_um: float | None = None
    no_polygons: str | None = None

    def with_polygons(self, outlined: Outlined) -> ClassSummary:
        """Return the summary of the same pixels with other shapes."""
        sieved, polygons = outlined.sieved_mm2.get(self.id, 0.0), outlined.polygons.get(self.id, 0)
        if self.mm2 == 0 or polygons > 0:
            reason = None
        elif sieved == 0:
            reason = "all of its islands are smaller than --min-area"
        elif self.share is None:
            reason = LEFT_OUT
        else:
            reason = "too thin to outline"
        drawn = {
            "polygons": polygons,
            "sieved_mm2": sieved,
            "outlined_mm2": outlined.outlined_mm2.get(self.id, None if reason == LEFT_OUT else 0.0),
            "simplify_um": outlined.simplify_um.get(self.id),
            "no_polygons": reason,
        }
        return self.model_copy(update=drawn)


class Tolerance(BaseModel):
    """The requested tolerance of outlines, and the step within it that was used.

    Single outlines may be finer, to keep the area of their class: see `ClassSummary.simplify_um`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked_um: float
    used_um: float

    @property
    def as_asked(self) -> bool:
        """Whether both are the same to a hundredth."""
        return abs(self.used_um - self.asked_um) <= 0.01 * self.asked_um

    def __str__(self) -> str:
        used = f"{self.used_um:.4g} um"
        return used if self.as_asked else f"{used}, the next step below the {self.asked_um:.4g} um asked for"


@dataclass(frozen=True)
class Outlined:
    """The measures of the polygons; dicts are by class id.

    Attributes
    ----------
    polygons, sieved_mm2, outlined_mm2, simplify_um : dict
        As in `ClassSummary`.
    simplify : Tolerance
    remarks : dict
        As in `Summary`.
    """

    polygons: dict[int, int] = field(default_factory=dict)
    sieved_mm2: dict[int, float] = field(default_factory=dict)
    outlined_mm2: dict[int, float] = field(default_factory=dict)
    simplify_um: dict[int, float] = field(default_factory=dict)
    simplify: Tolerance = field(default_factory=lambda: Tolerance(asked_um=0.0, used_um=0.0))
    remarks: dict[str, int] = field(default_factory=dict)


class Summary(Document):
    """The result of a slide, and how it was made.

    Attributes
    ----------
    read_from : LevelRead or None
        The level of the slide that was read for the network; None in summaries of earlier versions.
    level_remarks : tuple of str
        Remarks on levels of the slide that are not in order and were not read.
    tissue_mm2 : float
        Area of all classes but the background.
    unprocessed_mm2 : float
        Area that should have been processed but could not be read.
    unreadable_tiles : int
        Tiles of the slide that could not be decoded.
    simplify : Tolerance or None
        Of the polygons' outlines; None in summaries of earlier versions.
    remarks : dict
        How often polygons could not be made as requested; empty if never.
    familiarity : Familiarity or None
        The slide's tissue beside the model's training tissue; None without tissue, and in summaries of
        earlier versions.
    roi_remarks : tuple of str
        What was repaired in the regions of interest, left out of them, or lies outside of the slide, a line
        each.
    network : str
        The form in which the network ran, and why.
    seconds : dict
        Wall seconds of each stage of the last run; "read", "model" and "write" are summed over workers.
        "polygons", which run in parallel, is the time after the end of "segment".
    """

    slide: str
    status: Status
    model: str
    model_fingerprint: str
    notice: str | None
    slide_mpp: tuple[float, float]
    label_mpp: tuple[float, float]
    label_size: tuple[int, int]
    read_from: LevelRead | None = None
    level_remarks: tuple[str, ...] = ()
    classes: tuple[ClassSummary, ...]
    tissue_mm2: float
    unprocessed_mm2: float
    unreadable_tiles: int
    polygons: int
    simplify: Tolerance | None = None
    remarks: dict[str, int]
    familiarity: Familiarity | None = None
    roi_remarks: tuple[str, ...] = ()
    patches: int
    network: str
    seconds: dict[str, float]
    versions: dict[str, str]
    settings: dict[str, object]
    command: str

    @property
    def min_area_um2(self) -> float | None:
        """The smallest island that the polygons keep; None in summaries that do not state it."""
        export = self.settings.get("export")
        smallest = export.get("min_area_um2") if isinstance(export, dict) else None
        return smallest if isinstance(smallest, int | float) else None

    def with_polygons(self, outlined: Outlined, export: dict[str, object]) -> Summary:
        """Return the summary of the same labels with new polygons.

        Parameters
        ----------
        outlined : Outlined
        export : dict
            Their settings.
        """
        drawn = {
            "classes": tuple(c.with_polygons(outlined) for c in self.classes),
            "polygons": sum(outlined.polygons.values()),
            "simplify": outlined.simplify,
            "remarks": outlined.remarks,
            "settings": {**self.settings, "export": export},
        }
        return self.model_copy(update=drawn)

    def write(self, json_path: Path, csv_path: Path) -> None:
        """Write both files, each completely or not at all.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        write_text(csv_path, self._csv())
        write_text(json_path, self.model_dump_json(indent=2) + "\n")

    def _csv(self) -> str:
        rows: list[Sequence[object]] = [CSV_HEADER]
        for c in self.classes:
            numbers = [_decimals(value) for value in (c.sieved_mm2, c.outlined_mm2, c.simplify_um)]
            row = [self.slide, c.id, c.name, _decimals(c.mm2), _decimals(c.share), c.polygons, *numbers]
            rows.append([*row, c.no_polygons or ""])
        unprocessed = [self.slide, UNPROCESSED_ID, "(unprocessed)", _decimals(self.unprocessed_mm2)]
        rows.append(unprocessed + [""] * (len(CSV_HEADER) - len(unprocessed)))
        return "".join(map(csv_line, rows))


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def read_summary(path: Path) -> Summary:
    """Read a summary that `Summary.write` wrote.

    Raises
    ------
    DocumentError
        If it cannot be read, is none, or is of a newer wsi-seg.
    """
    return Summary.read(path, "delete it and run `wsi-seg predict` again")


def summarise_classes(
    pixels: dict[int, int], schema: ClassSchema, frames: Frames
) -> tuple[ClassSummary, ...]:
    """Turn pixel counts by label value into areas and shares by class, as yet without polygons."""
    pixel_mm2 = frames.label_pixel_um2 / 1e6
    apart = {schema.background_id, OUTSIDE_ID, UNPROCESSED_ID}
    tissue = sum(count for value, count in pixels.items() if value not in apart)
    return tuple(
        ClassSummary(
            id=c.id,
            name=c.name,
            mm2=pixels.get(c.id, 0) * pixel_mm2,
            share=None if c.id in apart else pixels.get(c.id, 0) / max(tissue, 1),
            polygons=0,
        )
        for c in schema.classes
    )
