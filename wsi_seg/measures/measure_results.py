"""Measure results: the whole slide of each, or the regions of its annotation file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg import __version__
from wsi_seg.measures.measure_settings import MeasureSettings
from wsi_seg.measures.measured import RegionMeasures, measure
from wsi_seg.measures.open_results import Opened, open_whole, require_different
from wsi_seg.measures.region_file import Region, RegionFile, read_region_file
from wsi_seg.measures.walk import class_named, count_regions, margin_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wsi_seg.progress import Progress


@dataclass(frozen=True)
class MeasuredResult:
    """One result, region by region.

    Attributes
    ----------
    opened : Opened
    file : RegionFile or None
        The file of its regions; None for the whole slide.
    regions : tuple of RegionMeasures
    distance_to : str or None
        The name of the class that distances are measured to.
    """

    opened: Opened
    file: RegionFile | None
    regions: tuple[RegionMeasures, ...]
    distance_to: str | None

    @property
    def stated(self) -> dict[str, object]:
        """What its measures were made from."""
        return {
            "result": str(self.opened.path),
            "slide": self.opened.slide,
            "regions": None if self.file is None else self.file.path.name,
            "model": self.opened.attribute("model"),
            "model_fingerprint": self.opened.attribute("model_fingerprint"),
            "label_mpp": list(self.opened.labels.frames.label_mpp),
            "distance_to": self.distance_to,
        }


@dataclass(frozen=True)
class Measured:
    """All results that were measured.

    Attributes
    ----------
    results : tuple of MeasuredResult
    settings : MeasureSettings
    version : str
        Of the wsi-seg that measured them.
    """

    results: tuple[MeasuredResult, ...]
    settings: MeasureSettings
    version: str = __version__

    @property
    def remarks(self) -> tuple[str, ...]:
        """What users should know about results and region files, a line each."""
        of_results = (each.opened.remark for each in self.results)
        of_files = (remark for each in self.results if each.file for remark in each.file.remarks)
        return (*(remark for remark in of_results if remark is not None), *of_files)


def measure_results(
    pairs: Sequence[tuple[Path, Path | None]],
    settings: MeasureSettings | None = None,
    progress: Progress | None = None,
) -> Measured:
    """Measure the classes of results.

    All results and all files are read and checked before the first one is measured.

    Parameters
    ----------
    pairs : sequence of (Path, Path or None)
        A result folder, or an OME-Zarr; and the annotation file whose shapes are its regions, or None for the
        whole slide.
    settings : MeasureSettings, optional
    progress : Progress, optional

    Raises
    ------
    OutputError
        If a result can't be read, is damaged, or is not finished.
    AnnotationError
        If an annotation file can't be read, was drawn on another slide, or one of its shapes is no region.
    UsageError
        If a result is named twice, is a folder of results, or lacks the class that distances are measured to.
    """
    settings = settings or MeasureSettings()
    require_different(pairs)
    opened = [(open_whole(result), regions) for result, regions in pairs]
    for each, _ in opened:
        if class_named(each.labels, settings.distance_to) is not None:
            margin_for(each.labels, settings)
    files = [
        None if path is None else read_region_file(path, each.slide, each.labels.frames)
        for each, path in opened
    ]
    results = []
    for (each, _), file in zip(opened, files, strict=True):
        frames, schema = each.labels.frames, each.labels.schema
        regions = (Region.whole(frames),) if file is None else file.regions
        tallies = count_regions(each.labels, regions, settings, progress)
        measures = tuple(measure(tally, schema, frames) for tally in tallies)
        near = class_named(each.labels, settings.distance_to)
        distance_to = None if near is None else schema.classes[near].name
        results.append(MeasuredResult(each, file, measures, distance_to))
    return Measured(tuple(results), settings)
