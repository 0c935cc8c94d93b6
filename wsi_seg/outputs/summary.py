"""The summary of one slide's result: areas, polygons, times, versions; as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from wsi_seg.errors import OutputError
from wsi_seg.files import write_text
from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID
from wsi_seg.slides.levels import LevelRead

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.slides.frames import Frames


class Status(StrEnum):
    """How a slide's run ended."""

    FINISHED = "finished"
    NOTHING_FOUND = "finished: nothing but background was found"
    PARTLY_UNREADABLE = "finished, with unreadable parts left unprocessed"


class ClassSummary(BaseModel):
    """One class in one slide.

    `share` is of the analysed area without background; None for the background class itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: int
    name: str
    mm2: float
    share: float | None
    polygons: int


class Summary(BaseModel):
    """What came out of a slide, and how.

    Attributes
    ----------
    read_from : LevelRead or None
        The level of the slide that the network saw; None in summaries of before it was noted.
    level_remarks : tuple of str
        Which levels of the slide are not what they should be, and so were not read.
    tissue_mm2 : float
        Area of all classes but the background.
    unprocessed_mm2 : float
        Area that was to be analysed but could not be read.
    unreadable_tiles : int
        Tiles of the slide that could not be decoded.
    remarks : dict
        How often polygons had to be drawn otherwise than asked; empty if never.
    roi_remarks : tuple of str
        What was mended in the regions of interest, left out of them, or lies beyond the slide, a line each.
    network : str
        The form that the network ran in, and why.
    seconds : dict
        Wall seconds of each stage of the last run; "read", "model" and "write" are added up over workers.
        "polygons", which are drawn beside all else, are what they took on from the end of "segment".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    remarks: dict[str, int]
    roi_remarks: tuple[str, ...] = ()
    patches: int
    network: str
    seconds: dict[str, float]
    versions: dict[str, str]
    settings: dict[str, object]
    command: str

    def with_polygons(
        self, polygons: dict[int, int], remarks: dict[str, int], export: dict[str, object]
    ) -> Summary:
        """Return the summary of the same labels with polygons drawn anew.

        Parameters
        ----------
        polygons : dict of int to int
            Shapes of each class id.
        remarks : dict
            As in `remarks`.
        export : dict
            The settings they were drawn with.
        """
        classes = tuple(c.model_copy(update={"polygons": polygons.get(c.id, 0)}) for c in self.classes)
        drawn = {"classes": classes, "polygons": sum(polygons.values()), "remarks": remarks}
        return self.model_copy(update={**drawn, "settings": {**self.settings, "export": export}})

    def write(self, json_path: Path, csv_path: Path) -> None:
        """Write both files, each whole or not at all.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        write_text(csv_path, self._csv())
        write_text(json_path, self.model_dump_json(indent=2) + "\n")

    def _csv(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["slide", "class_id", "class", "mm2", "share", "polygons"])
        for c in self.classes:
            share = "" if c.share is None else f"{c.share:.6f}"
            writer.writerow([self.slide, c.id, c.name, f"{c.mm2:.6f}", share, c.polygons])
        writer.writerow([self.slide, UNPROCESSED_ID, "(unprocessed)", f"{self.unprocessed_mm2:.6f}", "", ""])
        return text.getvalue()


def read_summary(path: Path) -> Summary:
    """Read a summary that `Summary.write` wrote.

    Raises
    ------
    OutputError
        If it cannot be read, or is none.
    """
    try:
        return Summary.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise OutputError(
            f"{path}: damaged, or of another version: delete it and run `wsi-seg predict` again"
        ) from error


def summarise_classes(
    pixels: dict[int, int], polygons: dict[int, int], schema: ClassSchema, frames: Frames
) -> tuple[ClassSummary, ...]:
    """Turn pixel counts by label value into areas and shares by class."""
    pixel_mm2 = frames.label_pixel_um2 / 1e6
    apart = {schema.background_id, OUTSIDE_ID, UNPROCESSED_ID}
    tissue = sum(count for value, count in pixels.items() if value not in apart)
    return tuple(
        ClassSummary(
            id=c.id,
            name=c.name,
            mm2=pixels.get(c.id, 0) * pixel_mm2,
            share=None if c.id in apart else pixels.get(c.id, 0) / max(tissue, 1),
            polygons=polygons.get(c.id, 0),
        )
        for c in schema.classes
    )
