"""Open what is to be shown: a slide, or a result with the slide that it was made from."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.errors import MppError, OutputError
from wsi_seg.results.folder import ResultFolder, folder_of, labels_in
from wsi_seg.results.labels.ngff_attributes import TISSUE
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.notices import notices
from wsi_seg.results.summary import read_summary
from wsi_seg.slides.slide import Slide
from wsi_seg.view.drawn_outlines import Outlines
from wsi_seg.view.found_slide import find_slide
from wsi_seg.view.label_tiles import LabelTiles
from wsi_seg.view.overview_tiles import OverviewTiles
from wsi_seg.view.polygons_by_place import Polygons
from wsi_seg.view.shown_slide import Shown
from wsi_seg.view.slide_tiles import SlideTiles
from wsi_seg.view.unfinished import RESUMES, read_underway
from wsi_seg.view.watched_files import Watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsi_seg.results.record import RunRecord
    from wsi_seg.results.summary import Summary
    from wsi_seg.view.unfinished import Run


def open_slide(path: Path, outlines: Sequence[Path] = (), series: int | None = None) -> Shown:
    """Open a slide alone.

    Raises
    ------
    SlideError
        If it cannot be opened.
    AnnotationError
        If outlines cannot be read, or do not lie on it.
    """
    watch = Watch()
    watch.file(path, *outlines)
    slide = Slide(path, series=series)
    with ExitStack() as in_vain:
        in_vain.callback(slide.close)
        mpp: tuple[float, float] | None = None
        notice: tuple[str, ...] = ()
        try:
            mpp = slide.mpp
        except MppError as error:
            notice = (str(error),)
        drawn = Outlines.read(outlines, slide.name, slide.bounds)
        shown = Shown(
            name=slide.name,
            path=str(path),
            bounds=slide.bounds,
            mpp=mpp,
            picture=SlideTiles(slide),
            outlines=drawn,
            notices=(*notice, *drawn.remarks),
            watch=watch,
        )
        in_vain.pop_all()
    return shown


def open_result(path: Path, outlines: Sequence[Path] = (), slide: Path | None = None) -> Shown:
    """Open a result, as far as it is done, and its slide; without that, the overview that the result holds.

    Parameters
    ----------
    path : Path
        A result folder, or an OME-Zarr.
    outlines : sequence of Path
        Annotation files to show beside.
    slide : Path, optional
        Where the slide is, if it has moved.

    Raises
    ------
    OutputError
        If it is damaged, is of a newer version, or has neither labels nor a slide so far.
    AnnotationError
        As for `open_slide`.
    """
    zarr = labels_in(path)
    result = folder_of(zarr)
    watch = Watch()
    watch.file(*outlines)
    if result is not None:
        watch.file(result.record_path)
    record = result.read_record() if result is not None and result.record_path.exists() else None
    run = None
    if result is None or record is None or record.progress == "finished":
        watch.file(*_made(zarr, result))
        labels = read_labels(zarr)
    else:
        # What grows in them is read as it comes; they are moved once they are whole.
        watch.folder(result.unfinished_zarr, result.zarr)
        done, run = read_underway(result, record)
        if done is None:
            return _open_beginning(run, record, outlines, slide, watch)
        labels = done
    summary, lacking = (None, None) if run is not None else _summary(result)
    name = str(labels.attributes.get("slide", path.name))
    drawn = Outlines.read(outlines, name, labels.frames.bounds)
    found = find_slide(result, labels.frames, summary, record, slide, watch)
    return Shown(
        name=name,
        path=str(path),
        bounds=labels.frames.bounds,
        mpp=labels.frames.slide_mpp,
        picture=OverviewTiles(labels) if found.slide is None else SlideTiles(found.slide),
        outlines=drawn,
        classes=LabelTiles(labels),
        polygons=None if run is not None else _polygons(result),
        summary=summary,
        notices=(*filter(None, (found.why_not, lacking, _unprocessed(summary))), *drawn.remarks),
        remarks=() if summary is None else tuple(notices(summary)),
        run=run,
        watch=watch,
    )


def _made(zarr: Path, result: ResultFolder | None) -> tuple[Path, ...]:
    """Return the files of a finished result of which at least one changes when anything of it does."""
    labels = zarr / TISSUE
    documents = (zarr / "zarr.json", labels / "zarr.json", labels / ".zattrs")
    if result is None:
        return documents
    return (*documents, result.summary_json, result.geojson(True), result.geojson(False))


def _open_beginning(
    run: Run, record: RunRecord, outlines: Sequence[Path], slide: Path | None, watch: Watch
) -> Shown:
    """Show the slide of a result that has no labels so far."""
    place = slide or (None if record.slide is None else Path(record.slide))
    if place is None:
        raise OutputError(f"{run.result.folder}: not finished: {RESUMES}")
    shown = open_slide(place, outlines, record.series)
    shown.watch.join(watch)
    return replace(shown, path=str(run.result.folder), run=run)


def _summary(result: ResultFolder | None) -> tuple[Summary | None, str | None]:
    """Return a result's summary, or why there is none."""
    if result is None or not result.summary_json.exists():
        return None, "the result has no summary here: areas are not shown"
    try:
        return read_summary(result.summary_json), None
    except OutputError as error:
        return None, str(error)


def _unprocessed(summary: Summary | None) -> str | None:
    if summary is None or not summary.unprocessed_mm2:
        return None
    return (
        f"{summary.unprocessed_mm2:.4f} mm2 could not be read and are not processed (hatched): copy "
        "or export the slide again"
    )


def _polygons(result: ResultFolder | None) -> Polygons | None:
    if result is None:
        return None
    there = [path for path in (result.geojson(True), result.geojson(False)) if path.is_file()]
    return Polygons(there[0]) if there else None
