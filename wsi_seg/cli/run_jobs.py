"""Run the jobs of `wsi-seg predict`, and report on each."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.cli.display import BarProgress
from wsi_seg.cli.terminal import say
from wsi_seg.errors import UsageError
from wsi_seg.inference.network.devices import choose_device
from wsi_seg.predict.batch import NoResult, Outcome, run_batch
from wsi_seg.predict.jobs import is_plain_image
from wsi_seg.predict.session import Session
from wsi_seg.predict.slide_of_run import open_slide
from wsi_seg.predict.working_resolution import takes_slides
from wsi_seg.results.familiarity import Verdict
from wsi_seg.results.summary import Status
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.predict.batch import BatchSummary
    from wsi_seg.predict.jobs import Job, Jobs
    from wsi_seg.progress import Progress
    from wsi_seg.results.summary import Summary
    from wsi_seg.settings import PredictSettings
    from wsi_seg.slides.content import SlideFiles
    from wsi_seg.slides.slide import Slide


NAMED = 5
"""Unfamiliar slides that are named at the end of a batch."""


@dataclass(frozen=True)
class _Done:
    """A finished slide, with what identifies its copies."""

    job: Job
    mpp: tuple[float, float]
    files: SlideFiles


class Runner:
    """Runs jobs one after another; opens the Dask cluster when the first slide needs it.

    Parameters
    ----------
    bundle : ModelBundle
    settings : PredictSettings
    progress : Progress
    show : callable or None
        Prints a slide's name, its summary and its result folder; None prints only errors.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        settings: PredictSettings,
        progress: Progress,
        show: Callable[[str, Summary, Path], None] | None,
    ) -> None:
        self._bundle, self._settings = bundle, settings
        self._progress, self._show = progress, show
        self._session = Session(bundle, settings, progress, shlex.join(["wsi-seg", *sys.argv[1:]]))
        self._done: dict[str, list[_Done]] = {}

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def run(self, job: Job) -> Outcome:
        """Do one job.

        Raises
        ------
        WsiSegError
            If it cannot be done.
        """
        if job.entry is not None:
            job.entry.require()
        if is_plain_image(job.path, takes_slides(self._bundle, self._settings.labels)):
            return self._image(job)
        series = None if job.entry is None else job.entry.series
        settings = self._session.settings_for(mpp=self._mpp(job), series=series)
        with open_slide(job.path, settings.labels) as slide:
            slide.called = job.name
            if slide.format == "dicom":  # as its result is
                slide.name = job.name
            alike = self._done.setdefault(slide.fingerprint, [])
            for done in alike:
                # An equal hash is not enough: two slides that differ in one tile are not copies.
                if done.files.same_as(slide.files):
                    return self._copy(job, slide, done)
            outcome = self._slide(job, slide, settings)
            alike.append(_Done(job, slide.mpp, slide.files))
            return outcome

    def _mpp(self, job: Job) -> float | None:
        """Return the resolution given for a slide: by the user, else by a project if the file has none."""
        if job.entry is None:
            return job.mpp
        given = job.mpp if job.mpp is not None else self._settings.labels.mpp
        mpp = job.entry.mpp_for_slide(given, self._settings.labels.series)
        if given is None and mpp is not None:
            self._progress.say(f"{job.entry}: {mpp:g} um per px, as set in QuPath")
        return mpp

    def _slide(self, job: Job, slide: Slide, settings: PredictSettings) -> Outcome:
        summary = self._session.segment(slide, job.out, settings)
        if self._show is not None:
            self._show(job.name, summary, job.out)
        if summary.unprocessed_mm2:
            say(
                f"wsi-seg: {job.path}: {counted(summary.unreadable_tiles, 'tiles')} could not be decoded: "
                f"{summary.unprocessed_mm2:.4f} mm2 left unprocessed; copy or export the slide again",
                err=True,
            )
        return Outcome(
            slide=str(job.path),
            result=str(job.out),
            status=summary.status,
            unprocessed_mm2=summary.unprocessed_mm2,
            seconds=summary.seconds["total"],
            familiarity=None if summary.familiarity is None else summary.familiarity.verdict,
        )

    def _copy(self, job: Job, slide: Slide, done: _Done) -> Outcome:
        """Report that a slide is a copy of a finished one."""
        first, mpp = done.job, done.mpp
        if job.mpp is not None or first.mpp is None:  # else the given resolution holds for both
            self._agree(job, first, slide.mpp[0], mpp[0])
        self._progress.say(f"{job.path}: the same slide as {first.path}: its result is {first.out}")
        return Outcome(slide=str(job.path), result=str(first.out), status=NoResult.COPY)

    @staticmethod
    def _agree(job: Job, first: Job, mpp: float, first_mpp: float) -> None:
        if mpp != first_mpp:
            raise UsageError(
                f"{job.path}: the same slide as {first.path}, but at {mpp:g} um per px, not at "
                f"{first_mpp:g}: give both the true resolution, for example in a CSV file: slide,mpp"
            )

    def _image(self, job: Job) -> Outcome:
        # Only now, as slides may do without PyTorch.
        import torch

        from wsi_seg.inference.plain_images import predict_image

        device, labels = torch.device(choose_device(self._settings.run.device)), self._settings.labels
        done = predict_image(job.path, self._bundle, job.out, device, labels.precision, labels.compile)
        if self._show is not None:
            for path in dict.fromkeys(
                (done.index_path, done.network_index_path, done.color_path, done.overlay_path)
            ):
                say(f"  {path}")
            if done.diagnosis is not None:
                say(f"  {done.diagnosis}")
            say(f"  network {done.network} ({labels.precision})")
        return Outcome(
            slide=str(job.path),
            result=str(job.out),
            status=Status.FINISHED,
            seconds=done.seconds,
            diagnosis=None if done.diagnosis is None else done.diagnosis.number,
        )


def run_jobs(jobs: Jobs, record: Path, runner: Runner, progress: Progress, quiet: bool) -> bool:
    """Do one job, or several as a batch with a record; return whether all went well.

    Raises
    ------
    WsiSegError
        If a single job fails, or the record of several cannot be written.
    """
    for line in jobs.passed_over:
        progress.say(line)
    if len(jobs.jobs) == 1:
        return runner.run(jobs.jobs[0]).good

    from wsi_seg.predict.report.write_batch_report import LiveReport  # only batches have a page

    def run(job: Job) -> Outcome:
        try:
            return runner.run(job)
        finally:
            if isinstance(progress, BarProgress):
                progress.next_slide()

    def tell(line: str) -> None:
        say(f"wsi-seg: {line}", err=True)

    with LiveReport(record.parent, tell) as report:
        batch = run_batch(jobs, record, run, tell, report.hear)
    if not quiet:
        bad = sum(not outcome.good for outcome in batch.outcomes)
        copies = sum(outcome.status == NoResult.COPY for outcome in batch.outcomes)
        also = f", {copies} of them {'copies' if copies > 1 else 'a copy'}" if copies else ""
        say(f"{counted(len(batch.outcomes), 'slides')}{also}, {bad} with errors: {record}")
        if report.page is not None:
            say(f"{report.page}: slide by slide, for a browser")
        _tell_unfamiliar(batch, {str(job.out): job.name for job in jobs.jobs})
    return batch.good


def _tell_unfamiliar(batch: BatchSummary, names_by_result: Mapping[str, str]) -> None:
    """Name the slides that are unlike what the model was trained on."""
    unlike = [outcome for outcome in batch.outcomes if outcome.familiarity == Verdict.UNFAMILIAR]
    names = [names_by_result[o.result] for o in unlike if o.result is not None]
    if names:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        say(f"unfamiliar to the model, check by eye: {', '.join(names[:NAMED])}{more}")
