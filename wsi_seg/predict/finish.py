"""The outputs that follow from a slide's labels: polygons, the overview picture, the summary."""

from __future__ import annotations

import platform
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import openslide

from wsi_seg import __version__
from wsi_seg.inference.network.devices import torch_version
from wsi_seg.models.classes import UNPROCESSED_ID
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.pictures.overview_picture import write_overview_picture
from wsi_seg.results.polygons.awaited import AwaitedLabels
from wsi_seg.results.polygons.polygon_export import export_polygons
from wsi_seg.results.summary import Status, Summary, summarise_classes
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.remarks import remarks_on_reading
from wsi_seg.slides.tissue import TissueMask

if TYPE_CHECKING:
    from wsi_seg.predict.plan import Plan
    from wsi_seg.progress import Progress
    from wsi_seg.results.familiarity import Familiarity
    from wsi_seg.results.folder import ResultFolder
    from wsi_seg.results.labels.read_labels import LabelPyramid
    from wsi_seg.results.polygons.awaited import Arrivals
    from wsi_seg.results.polygons.polygon_export import Exported
    from wsi_seg.results.record import RegionTotals, RunRecord
    from wsi_seg.slides.coarse import MaskSeal


def export_as_they_come(result: ResultFolder, plan: Plan, arrivals: Arrivals) -> tuple[Exported, float]:
    """Write the polygons while the labels are still being written.

    Returns
    -------
    exported : Exported
    finished : float
        The time of the end, by `time.perf_counter`.

    Raises
    ------
    OutputError
        If the file cannot be written, or the labels never come.
    """
    labels = AwaitedLabels.of(read_labels(result.unfinished_zarr), arrivals)
    exported = _export(result, plan, labels)
    return exported, time.perf_counter()


def export_again(
    result: ResultFolder, plan: Plan, record: RunRecord, progress: Progress, familiar: Familiarity | None
) -> Exported:
    """Write the polygons, and draw the overview, of labels that are finished.

    Raises
    ------
    OutputError
        If the labels are damaged, or a file cannot be written.
    """
    progress.say("making polygons")
    labels = read_labels(result.zarr)
    # Drawing uses one core, and polygons mostly do too: in parallel they take the time of one.
    with ThreadPoolExecutor(1, thread_name_prefix="overview") as beside:
        pixels = _totals_of(record).pixels
        drawing = beside.submit(draw_overview, result, plan, labels, pixels, record.tissue, familiar)
        with plan.timed("polygons"):
            exported = _export(result, plan, labels)
        drawing.result()
    return exported


def _export(result: ResultFolder, plan: Plan, labels: LabelPyramid) -> Exported:
    settings = plan.settings.export
    exported = export_polygons(labels, result.geojson(settings.gzip), settings)
    result.remove_other_polygons(result.geojson(settings.gzip))
    return exported


def draw_overview(
    result: ResultFolder,
    plan: Plan,
    labels: LabelPyramid,
    pixels: dict[int, int],
    seal: MaskSeal | None,
    familiar: Familiarity | None,
) -> None:
    """Draw the slide, and the classes over it.

    Parameters
    ----------
    result : ResultFolder
    plan : Plan
    labels : LabelPyramid
        With all of its levels.
    pixels : dict of int to int
        Label pixels by label value.
    seal : MaskSeal or None
        The identity of the labels' tissue mask; None for a result that does not record it.
    familiar : Familiarity or None
        How familiar the slide is to the model.

    Raises
    ------
    OutputError
        If the labels or the tissue mask are damaged, the mask is another, or the picture cannot be written.
    """
    with plan.timed("overview"):
        rgb = plan.overview_srgb
        tissue = None
        if plan.settings.labels.tissue_mask:
            tissue = TissueMask.load(result.tissue_mask, seal).at(Rect(0, 0, *rgb.shape[:2]), plan.factor)
        write_overview_picture(result.overview, rgb, labels, pixels, tissue, familiar)


def finish(
    result: ResultFolder,
    plan: Plan,
    record: RunRecord,
    exported: Exported,
    familiar: Familiarity | None,
    begin: float,
) -> Summary:
    """Write the summary, and mark the result finished.

    Parameters
    ----------
    result : ResultFolder
    plan : Plan
    record : RunRecord
        Of a run with complete labels.
    exported : Exported
        The report on the polygons.
    familiar : Familiarity or None
        How familiar the slide is to the model; None if it has no tissue.
    begin : float
        The time of the run's begin, by `time.perf_counter`.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    plan.seconds["total"] = time.perf_counter() - begin
    summary = _summarise(plan, record, exported, familiar)
    summary.write(result.summary_json, result.summary_csv)
    files = record.files
    if files is not None:
        polygons = result.geojson(plan.settings.export.gzip)
        files = {**files, **result.take_stock(polygons, *result.documents)}
    finished = {"progress": "finished", "export": plan.export_key, "files": files}
    result.write_record(record.model_copy(update=finished))
    result.clear_work()
    return summary


def _summarise(plan: Plan, record: RunRecord, exported: Exported, familiar: Familiarity | None) -> Summary:
    totals = _totals_of(record)
    mm2 = plan.frames.label_pixel_um2 / 1e6
    outlined = exported.outlined
    classes = tuple(
        c.with_polygons(outlined) for c in summarise_classes(totals.pixels, plan.bundle.schema, plan.frames)
    )
    unprocessed = totals.pixels.get(UNPROCESSED_ID, 0) * mm2
    background = plan.bundle.schema.background_id
    tissue = sum(c.mm2 for c in classes if c.id != background)
    if unprocessed:
        status = Status.PARTLY_UNREADABLE
    elif tissue == 0:
        status = Status.NOTHING_FOUND
    else:
        status = Status.FINISHED
    return Summary(
        slide=str(plan.slide.path),
        status=status,
        model=plan.bundle.name,
        model_fingerprint=plan.bundle.fingerprint,
        notice=plan.bundle.notice,
        slide_mpp=plan.slide.mpp,
        label_mpp=plan.frames.label_mpp,
        label_size=plan.frames.label_size,
        read_from=plan.level,
        level_remarks=remarks_on_reading(plan.slide),
        classes=classes,
        tissue_mm2=tissue,
        unprocessed_mm2=unprocessed,
        unreadable_tiles=totals.unreadable,
        polygons=sum(outlined.polygons.values()),
        simplify=outlined.simplify,
        remarks=outlined.remarks,
        familiarity=familiar,
        roi_remarks=() if plan.regions is None else plan.regions.remarks,
        patches=totals.patches,
        network=str(plan.choice),
        seconds={k: round(v, 3) for k, v in {**totals.seconds, **plan.seconds}.items()},
        versions=versions(),
        settings=plan.settings.model_dump(mode="json"),
        command=plan.command,
    )


def _totals_of(record: RunRecord) -> RegionTotals:
    assert record.totals is not None  # a record that says "exporting" has them
    return record.totals


def versions() -> dict[str, str]:
    """Return the versions of the software that results depend on."""
    return {
        "wsi-seg": __version__,
        "python": platform.python_version(),
        "torch": torch_version(),
        "openslide": openslide.__library_version__,
        "numpy": np.__version__,
    }
