"""`wsi-seg predict`: from slides to label pyramids, QuPath polygons, pictures and summaries."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from wsi_seg.cli import signals
from wsi_seg.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from wsi_seg.predict.jobs import Jobs
    from wsi_seg.results.summary import Summary
    from wsi_seg.settings import PredictSettings

    Settings = TypeVar("Settings", bound=BaseModel)

segmenting = partial(typer.Option, rich_help_panel="What is segmented")
writing = partial(typer.Option, rich_help_panel="What is written")
running = partial(typer.Option, rich_help_panel="How it runs")


def predict(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="SLIDE...",
            help="Slides, folders of slides, QuPath projects, CSV files (slide,mpp), or plain images.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder in which each slide gets a folder of its own.")
    ] = Path("results"),
    model: Annotated[
        str | None, typer.Option(help="Model file, or the name of a built-in model. [default: breast-demo]")
    ] = None,
    pipeline: Annotated[
        str | None,
        typer.Option(help="Settings from the part `predict` of pipelines/NAME.yaml or a YAML file."),
    ] = None,
    mpp: Annotated[
        float | None,
        segmenting(help="The slide's um per pixel, if the file states none or a wrong one."),
    ] = None,
    series: Annotated[
        int | None,
        segmenting(
            min=0,
            help="Which image of the slide file, as `info` numbers them. [default: the largest in colour]",
        ),
    ] = None,
    image: Annotated[
        list[int] | None,
        segmenting(
            metavar="NUMBER",
            help="Of a QuPath project, only the image with this number, which is that of its folder in the "
            "project's data folder. Can be repeated.",
        ),
    ] = None,
    working_mpp: Annotated[
        float | None,
        segmenting(help="Segment at this um per pixel, not the model's."),
    ] = None,
    allow_coarser: Annotated[
        bool | None,
        segmenting("--allow-coarser", help="Take slides coarser than the model's mpp too."),
    ] = None,
    allow_grey: Annotated[
        bool | None,
        segmenting("--allow-grey", help="Take slides without colour too."),
    ] = None,
    from_level_0: Annotated[
        bool | None,
        segmenting("--from-level-0", help="Read level 0, not the coarser levels in the file: slower."),
    ] = None,
    adapt: Annotated[
        bool | None,
        segmenting(
            "--adapt",
            help="Adapt stain and normalisations to an unfamiliar slide.",
        ),
    ] = None,
    tissue_mask: Annotated[
        bool | None,
        segmenting("--tissue-mask/--no-tissue-mask", help="Leave glass out. [default: on]"),
    ] = None,
    roi: Annotated[
        Path | None,
        segmenting(
            help="Regions of interest from QuPath, ASAP, ImageScope or HALO: segment only inside them."
        ),
    ] = None,
    confidence: Annotated[
        bool | None,
        writing("--confidence", help="Write the model's confidence too."),
    ] = None,
    ngff: Annotated[
        str | None,
        writing(
            help="OME-Zarr version, 0.5 or 0.4. A browser reads 0.5 only from a server that supports Range "
            "requests, not from python -m http.server. [default: 0.5]"
        ),
    ] = None,
    min_area: Annotated[
        float | None,
        writing(help="Merge islands smaller than this, in um2, into their neighbours. [default: 400]"),
    ] = None,
    simplify: Annotated[
        float | None,
        writing(help="Tolerance of the outlines in um; 0 keeps pixel edges. [default: 1.5 label px]"),
    ] = None,
    object_type: Annotated[
        str | None,
        writing(help="annotation or detection. [default: annotation]"),
    ] = None,
    gzip: Annotated[
        bool | None,
        writing("--gzip/--no-gzip", help="slide.geojson.gz or slide.geojson. [default: gzip]"),
    ] = None,
    include_background: Annotated[
        bool | None,
        writing("--include-background", help="Outline the background class too."),
    ] = None,
    device: Annotated[str | None, running(help="auto, cpu, cuda or cuda:N. [default: auto]")] = None,
    precision: Annotated[
        str | None,
        running(help="float32, bfloat16 or float16. [default: float32]"),
    ] = None,
    compile_: Annotated[
        str | None,
        running("--compile", help="Compile the network for this CPU: auto, yes, no or amx. [default: auto]"),
    ] = None,
    batch_size: Annotated[str | None, running(help="Patches at a time, or auto. [default: auto]")] = None,
    patch: Annotated[
        int | None,
        running(help="Side of a patch in px. [default: 1024, compiled up to 1664; less for small slides]"),
    ] = None,
    overlap: Annotated[
        int | None,
        running(
            help="Overlap of neighbouring patches in px. [default: 192, compiled 256, "
            "or by the network's measured reach]"
        ),
    ] = None,
    workers: Annotated[int | None, running(help="Regions at a time in this process.")] = None,
    scheduler: Annotated[str | None, running(help="Address or file of a running Dask scheduler.")] = None,
    overwrite: Annotated[
        bool | None,
        running("--overwrite", help="Replace older results."),
    ] = None,
    quiet: Annotated[bool, running("--quiet", "-q", help="Show nothing but errors.")] = False,
) -> None:
    """Segment slides, and write polygons for QuPath.

    To resume an interrupted run, run the same command again.

    Examples
    --------
        wsi-seg predict slide.svs

        wsi-seg predict slides/ -o results --model my-model.safetensors

        wsi-seg predict project.qpproj -o results

        wsi-seg predict slide.ndpi --roi drawn-in-qupath.geojson --confidence

        wsi-seg predict street.png --model cityscapes.safetensors
    """
    from wsi_seg.cli.display import shown
    from wsi_seg.cli.pictures import refuse_for_images
    from wsi_seg.models.lookup import resolve_model
    from wsi_seg.predict.jobs import collect_jobs
    from wsi_seg.settings import PredictSettings

    jobs = collect_jobs(inputs, out, mpp, image or ())
    jobs.require_the_only_one()
    base = _of_pipeline(pipeline) if pipeline else PredictSettings()
    model_path = resolve_model(model or base.model)
    settings = PredictSettings(
        model=model or base.model,
        labels=_override(
            base.labels,
            {
                "mpp": mpp,
                "series": series,
                "working_mpp": working_mpp,
                "allow_coarser": allow_coarser,
                "allow_grey": allow_grey,
                "from_level_0": from_level_0,
                "patch": patch,
                "overlap": overlap,
                "batch_size": None if batch_size == "auto" else batch_size,
                "precision": precision,
                "compile": compile_,
                "adapt": adapt,
                "tissue_mask": tissue_mask,
                "roi": roi,
                "confidence": confidence,
                "ngff": ngff,
            },
        ),
        export=_override(
            base.export,
            {
                "simplify_um": simplify,
                "min_area_um2": min_area,
                "object_type": object_type,
                "gzip": gzip,
                "include_background": include_background,
            },
        ),
        run=_override(
            base.run,
            {"device": device, "workers": workers, "scheduler": scheduler, "overwrite": overwrite},
        ),
    )
    if _finished_before(jobs, model_path, settings, base, quiet):
        return
    # Only now, as PyTorch takes seconds to import: a file that is missing is named at once.
    from wsi_seg.cli.run_jobs import Runner, run_jobs
    from wsi_seg.models.bundle import load_bundle
    from wsi_seg.predict.batch import BATCH
    from wsi_seg.predict.working_resolution import takes_slides

    bundle = load_bundle(model_path)
    refuse_for_images(jobs, takes_slides(bundle, settings.labels), settings, base)
    signals.working(f"stopping after the current regions; again to end at once; {signals.AGAIN} to resume")
    with (
        shown(len(jobs.jobs), quiet) as progress,
        Runner(bundle, settings, progress, None if quiet else _print_summary) as runner,
    ):
        good = run_jobs(jobs, out / BATCH, runner, progress, quiet)
    if not good:
        raise typer.Exit(1)


def _finished_before(
    jobs: Jobs, model: Path, settings: PredictSettings, base: PredictSettings, quiet: bool
) -> bool:
    """Say so, if all is about one slide whose result is finished; return whether it is, and is whole."""
    from wsi_seg.results.folder import ResultFolder

    if len(jobs.jobs) > 1 or jobs.passed_over or not ResultFolder(jobs.jobs[0].out).record_path.exists():
        return False
    from wsi_seg.cli.display import shown
    from wsi_seg.cli.pictures import refuse_for_images
    from wsi_seg.models.described import describe
    from wsi_seg.predict.already import finished_before
    from wsi_seg.predict.working_resolution import takes_slides

    (job,) = jobs.jobs
    described = describe(model)
    refuse_for_images(jobs, takes_slides(described, settings.labels), settings, base)
    with shown(1, quiet) as progress:
        summary = finished_before(job, described, settings, progress)
    if summary is None:
        return False
    if not quiet:
        _print_summary(job.name, summary, job.out)
    return True


def _of_pipeline(name: str) -> PredictSettings:
    """Return the settings of a pipeline."""
    from wsi_seg.errors import UsageError
    from wsi_seg.pipelines import load_pipeline

    settings = load_pipeline(name).predict
    if settings is None:
        raise UsageError(
            f"--pipeline {name}: has settings for training only: leave it out, and name a model with --model"
        )
    return settings


def _override(base: Settings, given: dict[str, Any]) -> Settings:
    """Apply the command line's settings over the pipeline's."""
    from pydantic import ValidationError

    from wsi_seg.cli.flags import option_name
    from wsi_seg.errors import UsageError, explain

    values = base.model_dump(exclude_unset=True)
    values |= {name: value for name, value in given.items() if value is not None}
    try:
        return type(base).model_validate(values)
    except ValidationError as error:
        setting, _, said = explain(error).partition(": ")
        raise UsageError(f"{option_name(setting)}: {said}: see `wsi-seg predict --help`") from error


def _print_summary(name: str, summary: Summary, out: Path) -> None:
    from wsi_seg.results.notices import notices

    say(f"{name}: {summary.status} in {summary.seconds['total']:.1f} s")
    for line in (*_table(summary), *notices(summary)):
        say(f"  {line}")
    say(f"  {out}: drag slide.geojson.gz onto the slide in QuPath")


def _table(summary: Summary) -> Iterator[str]:
    """Yield a row for each class; areas by label pixels and by polygons differ, so both are shown."""
    width = max(len("class"), *(len(c.name) for c in summary.classes))
    yield f"{'class':<{width}}  {'mm2 by pixels':>13}  {'share':>8}  {'polygons':>8}  {'mm2 outlined':>12}"
    for c in summary.classes:
        share = "" if c.share is None else f"{100 * c.share:.2f} %"
        row = f"{c.name:<{width}}  {c.mm2:>13.4f}  {share:>8}  {c.polygons:>8}"
        if c.no_polygons is not None:
            yield f"{row}  {'-':>12}  {c.no_polygons}"
        else:
            yield row if c.outlined_mm2 is None else f"{row}  {c.outlined_mm2:>12.4f}"
