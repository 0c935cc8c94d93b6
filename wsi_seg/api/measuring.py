"""Measure results: areas, borders, components and distances, region by region."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from wsi_seg.api.arguments import AnyPath, listener_of, number_of, path_of, shown, text_of
from wsi_seg.api.result import Result
from wsi_seg.errors import UsageError
from wsi_seg.measures.measure_results import measure_results
from wsi_seg.measures.measure_settings import MeasureSettings
from wsi_seg.measures.measure_table import boundary_rows, class_rows
from wsi_seg.measures.on_objects import write_copy
from wsi_seg.measures.pairing import pair_regions
from wsi_seg.measures.write_measures import write_tables
from wsi_seg.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.measures.measure_results import Measured
    from wsi_seg.measures.measure_table import Row


class Measures:
    """Measures of the classes of results, as `wsi_seg.measure` returns them.

    Attributes
    ----------
    rows : list of dict
        The table of classes: a dict for each result, region and class. ``pandas.DataFrame(measures.rows)``
        makes a table of them. None stands for what does not apply.
    boundaries : list of dict
        The table of borders: a dict for each result, region and pair of classes.
    remarks : tuple of str
        What was repaired in region files or left out of them, a line each.
    """

    def __init__(self, measured: Measured) -> None:
        self._measured = measured
        self.rows: list[Row] = list(class_rows(measured))
        self.boundaries: list[Row] = list(boundary_rows(measured))
        self.remarks: tuple[str, ...] = measured.remarks

    def __repr__(self) -> str:
        return f"<wsi_seg measures: {len(self.rows)} rows>"

    def save(self, path: AnyPath) -> Path:
        """Write the table of classes, and beside it the table of borders, as `wsi-seg measure` does.

        Parameters
        ----------
        path : str or path
            ``.csv`` or ``.parquet``, which needs ``pip install 'wsi-seg[geo]'``.

        Returns
        -------
        Path
            The table of classes.

        Raises
        ------
        UsageError
            If the path has another ending, is a folder, or belongs to a result, or pyarrow is missing.
        OutputError
            If a file cannot be written.
        """
        target = path_of(path)
        write_tables(self._measured, target)
        return target

    def to_geojson(self, path: AnyPath) -> Path:
        """Write a copy of the region file with the measures as measurements that QuPath shows.

        Parameters
        ----------
        path : str or path
            ``.geojson``, or ``.geojson.gz`` to compress it.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        UsageError
            If not exactly one region file was measured, or the path cannot be the copy's.
        AnnotationError
            If the region file is not GeoJSON.
        OutputError
            If it cannot be written.
        """
        target = path_of(path)
        write_copy(self._measured, target)
        return target


def measure(
    results: Result | AnyPath | Iterable[Result | AnyPath],
    regions: AnyPath | Iterable[AnyPath] | None = None,
    *,
    distance_to: str | None = None,
    bands_um: Iterable[float] | None = None,
    progress: Progress | None = None,
) -> Measures:
    """Measure the classes of finished results, on the whole slide or in each region of an annotation file.

    Parameters
    ----------
    results : Result, str or path, or several of them
        Results, or their folders.
    regions : str or path, or several of them, optional
        Annotation file whose shapes are measured one by one; one for each result, in their order, or a folder
        of files that are named after the results. By default the whole slide is one region.
    distance_to : str, optional
        Measure how much of each class lies in bands around the border of this class, too.
    bands_um : sequence of float, optional
        Ends of these bands, in micrometres from the border, rising; by default 0, 100 and 500.
    progress : Progress, optional
        A `wsi_seg.progress.Progress` that receives the progress.

    Returns
    -------
    Measures
        It has ``rows``, ``boundaries``, and writes them as tables and for QuPath.

    Raises
    ------
    WsiSegError
        One line that says what is wrong and what to do.
    """
    settings = _settings(distance_to, bands_um)
    pairs = pair_regions(
        [each.path if isinstance(each, Result) else path_of(each) for each in _listed("results", results)],
        [] if regions is None else [path_of(each) for each in _listed("regions", regions)],  # type: ignore[arg-type]  # paths alone
    )
    return Measures(measure_results(pairs, settings, listener_of(Progress, progress)))


def _settings(distance_to: str | None, bands_um: Iterable[float] | None) -> MeasureSettings:
    named = None if distance_to is None else text_of("distance_to", distance_to)
    if bands_um is None:
        return MeasureSettings(named)
    if not isinstance(bands_um, Iterable) or isinstance(bands_um, str):
        raise UsageError(f"bands_um={shown(bands_um)}: give the ends of bands, such as (0, 100, 500)")
    ends = [number_of("bands_um", end) for end in bands_um]
    settings = MeasureSettings(named, tuple(float(end) for end in ends if end is not None))
    if named is None:
        raise UsageError(
            f"bands_um={shown(bands_um)}: has no effect without distance_to: give both, or leave it out"
        )
    return settings


def _listed(name: str, given: Result | AnyPath | Iterable[Result | AnyPath]) -> list[Result | AnyPath]:
    """Return one thing, or several, as a list."""
    if isinstance(given, Result | str | bytes | os.PathLike):
        return [given]
    if not isinstance(given, Iterable):
        raise UsageError(f"{name}={shown(given)}: give a path, or several")
    return list(given)
