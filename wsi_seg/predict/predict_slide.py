"""Segment one slide: from the file to labels, polygons, pictures and a summary.

    slide -> tissue mask -> regions through the Dask stream -> label pyramid -> polygons -> overview, summary

Polygons are made while regions are still being segmented. Each stage leaves its work on disk, and a run that
is started again resumes from there.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsi_seg.errors import SlideError, UsageError
from wsi_seg.files.files import check_folder
from wsi_seg.inference.fast.library import kernels_to_be_compiled
from wsi_seg.inference.network.choice import Choice, choose_form
from wsi_seg.inference.stream.cluster import local_cluster, remote_cluster
from wsi_seg.inference.stream.job import RegionJob, close_job
from wsi_seg.inference.stream.ledger import Ledger
from wsi_seg.inference.stream.regions import run_regions
from wsi_seg.inference.stream.workers import probe
from wsi_seg.memory import release_freed
from wsi_seg.models.bundle import ModelBundle, load_bundle
from wsi_seg.models.lookup import resolve_model
from wsi_seg.models.registry import ONNX
from wsi_seg.predict import resume
from wsi_seg.predict.adapt import adapt, require_stain
from wsi_seg.predict.adapted import begun
from wsi_seg.predict.familiar import familiarity
from wsi_seg.predict.finish import draw_overview, export_again, export_as_they_come, finish
from wsi_seg.predict.handout import hand_out
from wsi_seg.predict.plan import Plan
from wsi_seg.predict.slide_of_run import open_slide
from wsi_seg.progress import Progress
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.pyramid import PyramidWriter
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.labels.seals import document_path
from wsi_seg.results.polygons.awaited import Arrivals
from wsi_seg.results.summary import Summary, read_summary
from wsi_seg.results.whole import require_written
from wsi_seg.settings import PredictSettings
from wsi_seg.slides.levels import LEVEL_0
from wsi_seg.slides.remarks import remarks_on_resolution
from wsi_seg.slides.slide import Slide

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from distributed import Client

    from wsi_seg.results.familiarity import Familiarity
    from wsi_seg.results.polygons.polygon_export import Exported
    from wsi_seg.results.record import RunRecord
    from wsi_seg.settings import LabelSettings
    from wsi_seg.slides.lattice import Region

BESIDE = 4
"""Threads beside the stream: overview image, coarser levels, polygons, how familiar the slide is."""

AS_BEFORE = "as at the start of the run"


def predict_slide(
    slide: Path | str | Slide,
    out: Path | str,
    settings: PredictSettings | None = None,
    progress: Progress | None = None,
    command: str = "",
) -> Summary:
    """Segment a slide into a result folder; resume an unfinished run there, if there is one.

    Parameters
    ----------
    slide : Path, str or Slide
    out : Path or str
        The result folder of this slide.
    settings : PredictSettings, optional
    progress : Progress, optional
        Receives the progress.
    command : str
        The command that the summary states.

    Returns
    -------
    Summary
        Also written to ``summary.json`` and ``summary.csv``.

    Raises
    ------
    WsiSegError
        If the slide, the model, a setting, the device, the scheduler or the output folder fails. Finished
        work is kept.
    """
    settings = settings or PredictSettings()
    progress = progress or Progress()
    bundle = load_bundle(resolve_model(settings.model))
    with connect(settings) as client:
        return predict_on(client, slide, out, bundle, settings, progress, command)


@contextmanager
def connect(settings: PredictSettings) -> Iterator[Client]:
    """Open the Dask cluster that the settings name: a running one, or threads of this process."""
    run = settings.run
    opened = local_cluster(run.workers) if run.scheduler is None else remote_cluster(run.scheduler)
    try:
        with opened as client:
            yield client
    finally:
        close_job()  # what a run that broke off has left open: the slide, the network and its threads


def predict_on(
    client: Client,
    slide: Path | str | Slide,
    out: Path | str,
    bundle: ModelBundle,
    settings: PredictSettings,
    progress: Progress,
    command: str,
) -> Summary:
    """Do the same as `predict_slide`, with an open cluster and an open model."""
    begin = time.perf_counter()
    result = ResultFolder(Path(out).resolve())
    check_folder(result.work)
    device = probe(client, settings.run.device)
    opened = _open(slide, settings.labels)
    choice = _choose_form(result, bundle, device, settings, progress)
    plan = Plan.make(opened, bundle, device, settings, command, choice)
    plan.seconds["open"] = time.perf_counter() - begin
    for line in remarks_on_resolution(opened):  # before hours at a resolution that was not meant
        progress.say(line)
    if settings.labels.adapt:
        require_stain(bundle)
    if settings.run.overwrite or result.read_record() is None:  # before anything is made or removed
        with plan.timed("mask"):
            plan.refuse_colourless()
    if settings.labels.adapt:
        before = None if settings.run.overwrite else begun(result.read_record(), result.statistics)
        adaptation = before or adapt(plan)
        progress.say(adaptation.line)
        plan = plan.adapted(adaptation)
    with result.locked():
        record = resume.begin(result, plan, progress)
        if record.progress == "finished":
            return read_summary(result.summary_json)
        if record.progress == "segmenting":
            record, exported, familiar = _segment(client, result, plan, record, progress)
        else:
            familiar = familiarity(plan)
            exported = export_again(result, plan, record, progress, familiar)
            _refuse_changed_slide(result, plan)
        return finish(result, plan, record, exported, familiar, begin)


def _open(slide: Path | str | Slide, labels: LabelSettings) -> Slide:
    if not isinstance(slide, Slide):
        return open_slide(slide, labels)
    if labels.from_level_0 and slide.choice.given != LEVEL_0:
        raise UsageError(
            f"{slide.path}: to read from level 0, open it with Slide(..., levels_read={LEVEL_0})"
        )
    return slide


def _choose_form(
    result: ResultFolder, bundle: ModelBundle, device: str, settings: PredictSettings, progress: Progress
) -> Choice:
    """Choose the form in which the network runs: in a resumed run, the form in which it was started."""
    labels, config = settings.labels, bundle.architecture.config
    if bundle.architecture.name == ONNX:
        return choose_form(config, device, labels.precision, labels.compile)
    before = None
    if labels.compile == "auto" and not settings.run.overwrite and (record := result.read_record()):
        before = record.labels.get("network")
    if before == "plain":
        return Choice("plain", AS_BEFORE)
    if labels.compile != "no" and device == "cpu" and kernels_to_be_compiled():
        progress.say("compiling the network for this processor: some seconds, once")
    choice = choose_form(config, device, labels.precision, labels.compile)
    return Choice("compiled", AS_BEFORE) if (before, choice.form) == ("compiled", "amx") else choice


def _segment(
    client: Client, result: ResultFolder, plan: Plan, record: RunRecord, progress: Progress
) -> tuple[RunRecord, Exported, Familiarity | None]:
    """Complete the label pyramid, from any state; make the polygons and the overview meanwhile."""
    progress.say(f"network {plan.choice} ({plan.settings.labels.precision})")
    writer = PyramidWriter(result.unfinished_zarr, plan.layout)
    ledger = Ledger(result.ledger)
    with plan.timed("mask"):
        record = resume.prepare(result, plan, record, writer, ledger)
    arrivals = Arrivals(plan.lattice.region)
    with _threads_beside(plan) as beside:
        overview = beside.submit(writer.write_overview, plan.overview_srgb)
        levels = beside.submit(writer.build_levels, plan.settings.run.workers or 2, arrivals.wait_for)
        polygons = beside.submit(export_as_they_come, result, plan, arrivals)
        looked = beside.submit(familiarity, plan)
        try:
            with plan.timed("segment"):
                job = hand_out(result, plan, record, writer, ledger)
                work = (overview, levels, polygons)
                _segment_regions(client, job, plan.slide.called, progress, arrivals, work)
        finally:
            arrivals.end()
        segmented = time.perf_counter()
        close_job()
        release_freed()
        totals, files = resume.add_up(ledger, plan.lattice, plan.made_from)
        with plan.timed("pyramid"):
            files |= overview.result() | levels.result()
            writer.seal(totals.pixels, files)
        if not polygons.done():
            progress.say("making polygons")
        familiar = looked.result()
        labels = read_labels(result.unfinished_zarr)
        draw_overview(result, plan, labels, totals.pixels, record.tissue, familiar)
        exported, drawn = polygons.result()
        plan.seconds["polygons"] = max(0.0, drawn - segmented)
    with plan.timed("pyramid"):
        require_written(result.unfinished_zarr)
        _refuse_changed_slide(result, plan)
        result.publish_zarr()
    files = result.take_stock(document_path(result.zarr))
    made = {"progress": "exporting", "export": plan.export_key, "totals": totals, "files": files}
    record = record.model_copy(update=made)
    result.write_record(record)
    return record, exported, familiar


def _threads_beside(plan: Plan) -> ThreadPoolExecutor:
    """Start the threads for what is done beside the stream of regions."""
    if plan.by_kernels:
        return ThreadPoolExecutor(BESIDE, "beside")
    from wsi_seg.inference.network.threads import computing_threads

    # On a core each: PyTorch's threads would wait for each other busily, as the networks need all cores.
    return computing_threads(BESIDE, 1, "beside")


def _refuse_changed_slide(result: ResultFolder, plan: Plan) -> None:
    """Refuse to finish a result whose slide has changed meanwhile."""
    plan.slide.files.refuse_changed()
    try:
        plan.slide.files.refuse_other_content()
    except SlideError:
        Ledger(result.ledger).clear()  # times were set back: no region is known to be of the slide as it was
        raise


def _segment_regions(
    client: Client,
    job: RegionJob,
    slide_name: str,
    progress: Progress,
    arrivals: Arrivals,
    beside: Iterable[Future[Any]],
) -> None:
    """Segment the regions that are not in the ledger yet; stop with the error if parallel work fails."""
    regions = {region.name: region for region in job.lattice.regions()}
    done = resume.kept_regions(job, progress)
    for name in done:
        arrivals.add(regions[name].label_rect)
    left = [region for name, region in regions.items() if name not in done]
    progress.begin(slide_name, len(regions), len(done), sum(_megapixels(r) for r in left))
    try:
        with closing(run_regions(client, job, left, progress.say)) as entries:
            for finished in entries:
                region = regions[finished.name]
                arrivals.add(region.label_rect)
                progress.advance(_megapixels(region))
                for work in beside:
                    if work.done():
                        work.result()
    finally:
        progress.end()


def _megapixels(region: Region) -> float:
    return region.label_rect.area / 1e6
