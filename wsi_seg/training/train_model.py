"""A whole training: from the data to a model file that `predict` takes, and a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from wsi_seg.errors import UsageError
from wsi_seg.files.files import check_folder
from wsi_seg.inference.network.devices import choose_device
from wsi_seg.models.bundle import load_bundle, save_bundle
from wsi_seg.models.header import TRAINED_ON, TRUTH, InputSpec, ModelHeader
from wsi_seg.models.lookup import resolve_model
from wsi_seg.progress import TrainingProgress
from wsi_seg.training.data.cache import PixelCache
from wsi_seg.training.data.measured_input import measure_input
from wsi_seg.training.data.open_data import open_data
from wsi_seg.training.data.training_data import lacking
from wsi_seg.training.engine.conclusion import conclude, learned_from
from wsi_seg.training.engine.failures import in_one_line
from wsi_seg.training.engine.final_score import score
from wsi_seg.training.engine.hardware import check_device, megapixels, workers
from wsi_seg.training.engine.processes import helping, only_helps
from wsi_seg.training.engine.provenance import facts, identity, scores, slides_of
from wsi_seg.training.engine.remembering import remember
from wsi_seg.training.engine.stages import Course, run_stages
from wsi_seg.training.engine.training_folder import WORK, TrainingFolder
from wsi_seg.training.engine.validation import described
from wsi_seg.training.report.contents import TrainingReport
from wsi_seg.training.report.write_training_report import write_report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wsi_seg.evaluation.metrics import Confusion
    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.models.network import Network
    from wsi_seg.training.data.training_data import TrainingData
    from wsi_seg.training.report.contents import HistoryRow
    from wsi_seg.training.report.limits import Limits
    from wsi_seg.training.request import TrainRequest


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes
    ----------
    model, report : Path
    confusion : Confusion
        Of the final model on everything that was kept out, or trained on where nothing was.
    scored : str
        What the model was scored on, in words.
    diagnoses : Confusion
        Of the diagnoses of whole patches or images there; empty for a network that makes no diagnosis.
    seconds : float
        Of the stages, validations included.
    for_slides : bool
        Whether the model takes slides (it has a working resolution), and not plain images.
    limits : Limits
        How far all this can be relied on.
    """

    model: Path
    report: Path
    confusion: Confusion
    scored: str
    diagnoses: Confusion
    seconds: float
    for_slides: bool
    limits: Limits


def train(request: TrainRequest, listener: TrainingProgress | None = None) -> Trained:
    """Train a model.

    Parameters
    ----------
    request : TrainRequest
    listener : TrainingProgress, optional
        Receives the progress.

    Raises
    ------
    FinishedError
        If this very training is finished.
    WsiSegError
        One line that says what is wrong and what to do.
    """
    with torch.random.fork_rng(devices=[]):  # stages are seeded; the caller's random state stays unchanged
        if not only_helps():
            return _train(request, listener or TrainingProgress())
        with helping():
            return _train(request, TrainingProgress())


def _train(request: TrainRequest, listener: TrainingProgress) -> Trained:
    recipe = request.recipe
    device = torch.device(choose_device(request.device))
    check_device(device, recipe)
    check_folder(request.folder / WORK)
    folder = TrainingFolder(request.folder, request.overwrite, request.resume)
    earlier = _earlier(request)
    given_mpp = earlier.input.mpp if earlier and (request.init or request.given) else None
    # The recommendation depends on the time and the device: a resumed training keeps its resolution.
    given_mpp = given_mpp or folder.begun_at_mpp
    data = open_data(request.data, recipe, given_mpp, megapixels(recipe, device))
    if request.given is not None:
        _check_classes(request.given, data.schema)
    for remark in (*data.remarks, *lacking(data)):
        listener.say(remark)
    listener.say(data.split.description)
    with folder.locked(identity(request, data, earlier)), in_one_line(device, request.folder):
        _say_resumed(request, folder, listener)
        course = _course(request, device, data, earlier, listener)
        network, rows = run_stages(course, folder, listener)
        if only_helps():
            raise SystemExit(0)
        return _finish(request, course, network, rows, folder, listener)


def _earlier(request: TrainRequest) -> ModelBundle | None:
    """Return the model to start from.

    Raises
    ------
    UsageError
        If it cannot be trained further.
    """
    start = request.init or request.recipe.training.init
    earlier = request.given or (load_bundle(resolve_model(start)) if start else None)
    if earlier is not None and not earlier.network.config.stages:
        raise UsageError(
            f"{earlier.path}: an {earlier.network.config.title} cannot be trained further: name another "
            "model with --init, or start from random weights with --set training.init=null"
        )
    return earlier


def _check_classes(given: ModelBundle, schema: ClassSchema) -> None:
    """Check that a network whose outputs are fixed has the classes of the data."""
    own, wanted = ([c.name for c in each.classes] for each in (given.schema, schema))
    if own != wanted:
        raise UsageError(
            f"{given.name}: its network has the classes {', '.join(own)}, but the data have "
            f"{', '.join(wanted)}: make them the same"
        )


def _say_resumed(request: TrainRequest, folder: TrainingFolder, listener: TrainingProgress) -> None:
    """Say what there is of an earlier training."""
    if request.resume:
        listener.say(
            f"{request.out}: resuming from the checkpoint"
            if folder.resumed
            else f"{request.out}: no checkpoint to resume from: starting from the beginning"
        )
    if folder.earlier_model is not None:
        listener.say(f"{folder.earlier_model}: the model so far, kept")


def _course(
    request: TrainRequest,
    device: torch.device,
    data: TrainingData,
    earlier: ModelBundle | None,
    listener: TrainingProgress,
) -> Course:
    """Look at the data, and measure the input; a model to start from keeps its own."""
    recipe = request.recipe
    known = learned_from(data, recipe, listener)
    processes = recipe.training.devices * (1 + workers(recipe, device))
    cache = PixelCache(data.sources, recipe.data.cache_mb // processes)
    spec = measure_input(cache, data, recipe)
    if earlier is not None:
        kept = earlier.input.model_dump(include={"channels", "mean", "std", "scale"})
        spec = InputSpec.model_validate(spec.model_dump() | kept)
    return Course(recipe, device, data, cache, spec, earlier, known)


def _finish(
    request: TrainRequest,
    course: Course,
    network: Network,
    rows: Sequence[HistoryRow],
    folder: TrainingFolder,
    listener: TrainingProgress,
) -> Trained:
    """Score a network on what was kept out, if anything was, and write the report and the model file."""
    data, spec = course.data, course.spec
    everything = course.kept_out()
    where = f"{'all' if len(everything) > 1 else 'the'} {described(everything, data.split)}"
    listener.say(f"scoring {where}")
    scored = score(network, spec, data, everything, listener)
    seconds = rows[-1].seconds if rows else 0.0
    limits = conclude(request, course.known, rows, scored)
    provenance = facts(request, data, spec, course.device, seconds, limits.weights)
    final = scores(scored.confusion, scored.diagnoses, data)
    header = ModelHeader(
        name=request.folder.resolve().name,
        architecture=request.recipe.model.architecture(len(data.schema), request.recipe.training.stages[-1]),
        classes=data.schema,
        input=spec,
        training={
            **provenance,
            TRAINED_ON: slides_of(data),
            TRUTH: request.data.truth.model_dump(mode="json"),
            "scores": final,
            "limits": limits.as_json(),
        },
        tissue=remember(network, spec, data, course.cache),
    )
    report = TrainingReport(
        title=header.name,
        command=request.command,
        schema=data.schema,
        history=tuple(rows),
        confusion=scored.confusion.counts[:, :-1],
        examples=scored.examples,
        facts=({"diagnosis": final["diagnosis"]} if "diagnosis" in final else {}) | provenance,
        limits=limits,
    )
    page = write_report(folder.report, report)
    save_bundle(folder.model, network, header)  # last, since it says that the training is finished
    folder.finish()
    figures = scored.confusion, where, scored.diagnoses
    return Trained(folder.model, page, *figures, seconds, spec.mpp is not None, limits)
