"""Know a finished result as such before PyTorch is imported, which takes more time than to look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.inference.network.choice import Choice
from wsi_seg.inference.network.devices import may_have_gpu
from wsi_seg.models.registry import GIVEN, ONNX
from wsi_seg.predict import resume
from wsi_seg.predict.jobs import is_plain_image
from wsi_seg.predict.plan import Plan
from wsi_seg.predict.slide_of_run import open_slide
from wsi_seg.predict.working_resolution import takes_slides
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.summary import read_summary

if TYPE_CHECKING:
    from wsi_seg.inference.network.choice import Form
    from wsi_seg.models.described import DescribedModel
    from wsi_seg.predict.jobs import Job
    from wsi_seg.progress import Progress
    from wsi_seg.results.record import RunRecord
    from wsi_seg.results.summary import Summary
    from wsi_seg.settings import PredictSettings


def finished_before(
    job: Job, model: DescribedModel, settings: PredictSettings, progress: Progress
) -> Summary | None:
    """Return the summary of a slide whose result is finished, and is what would be made now.

    Of anything else, of a slide that was not read completely, and wherever that takes more to know, None:
    then `wsi_seg.predict.predict_slide` finds out.

    Raises
    ------
    WsiSegError
        If the slide cannot be opened, or the result has changed since it was finished.
    """
    result = ResultFolder(job.out.resolve())
    if not _simple(job, model, settings) or (record := result.read_record()) is None:
        return None
    if record.progress != "finished" or not result.summary_json.exists():
        return None
    summary = read_summary(result.summary_json)
    if summary.unprocessed_mm2 or is_plain_image(job.path, takes_slides(model, settings.labels)):
        return None
    if job.mpp is not None:
        settings = settings.model_copy(update={"labels": settings.labels.model_copy(update={"mpp": job.mpp})})
    with open_slide(job.path, settings.labels) as slide:
        plan = Plan.make(slide, model, "cpu", settings, choice=_as_before(record))
        with result.locked():
            return summary if resume.is_finished(result, plan, progress) else None


def _simple(job: Job, model: DescribedModel, settings: PredictSettings) -> bool:
    """Return whether device and form of the network are known without asking PyTorch or a cluster."""
    run, labels = settings.run, settings.labels
    by_itself = job.entry is None and not run.overwrite and run.scheduler is None
    usual = labels.compile == "auto" and not labels.adapt and model.architecture.name not in {ONNX, GIVEN}
    return by_itself and usual and (run.device == "cpu" or (run.device == "auto" and not may_have_gpu()))


def _as_before(record: RunRecord) -> Choice:
    """Return the form that the result was made in, to which a run that is resumed keeps."""
    forms: dict[object, Form] = {"plain": "plain", "amx": "amx"}
    return Choice(forms.get(record.labels.get("network"), "compiled"), "as at the start")
