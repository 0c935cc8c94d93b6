"""A whole training: from the data to a model file that `predict` takes, and a report."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from wsi_seg.errors import TrainingError, UsageError
from wsi_seg.files.files import check_folder
from wsi_seg.inference.network.segmenter import choose_device
from wsi_seg.models.architecture import build_network
from wsi_seg.models.bundle import TRAINED_ON, InputSpec, ModelHeader, load_bundle, resolve_model, save_bundle
from wsi_seg.models.cost import describe
from wsi_seg.models.given import is_given
from wsi_seg.progress import TrainingProgress
from wsi_seg.training.data.cache import PixelCache
from wsi_seg.training.data.draws import ImageDraws, PatchDraws
from wsi_seg.training.data.extent import can_tell
from wsi_seg.training.data.gathering import TrainingData, lacking, open_data
from wsi_seg.training.data.measured_input import measure_input
from wsi_seg.training.engine.budget import validated_steps
from wsi_seg.training.engine.conclusion import Known, conclude, learned_from
from wsi_seg.training.engine.failures import in_one_line
from wsi_seg.training.engine.hardware import check_device, megapixels, precision, workers
from wsi_seg.training.engine.inherit import take_over
from wsi_seg.training.engine.loss import class_weights
from wsi_seg.training.engine.module import SegmentationModule
from wsi_seg.training.engine.processes import helping, only_helps
from wsi_seg.training.engine.provenance import facts, identity, scores, slides_of
from wsi_seg.training.engine.remembering import remember
from wsi_seg.training.engine.score import score
from wsi_seg.training.engine.stage import StageData, run_stage
from wsi_seg.training.engine.stage_plan import StagePlan
from wsi_seg.training.engine.training_folder import WORK, TrainingFolder
from wsi_seg.training.engine.validation import Images, Tiles
from wsi_seg.training.report.contents import HistoryRow, TrainingReport
from wsi_seg.training.report.writing import write_report

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.evaluation.metrics import Confusion
    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.models.network import Network, Stage
    from wsi_seg.training.recipe import Recipe
    from wsi_seg.training.report.limits import Limits
    from wsi_seg.training.request import TrainRequest

VALIDATED = (8, 96)
VALIDATED_A_MINUTE = 4
"""Tiles or images in a validation during training, which keeps its time short; the last validation takes
everything that was kept out."""

LARGEST_WHOLE = 1 << 22
"""Images of more pixels are validated tile by tile, unless the model resizes them."""

EPOCH_STEPS = (20, 500)
LIGHTNING_PRECISION = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes
    ----------
    model, report : Path
    confusion : Confusion
        Of the final model on everything that was kept out.
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
    device = choose_device(request.device)
    check_device(device, recipe)
    check_folder(request.folder / WORK)
    folder = TrainingFolder(request.folder, request.overwrite, request.resume)
    start = request.init or recipe.training.init
    earlier = request.given or (load_bundle(resolve_model(start)) if start else None)
    if earlier is not None and not earlier.network.config.stages:
        raise UsageError(
            f"{earlier.path}: an {earlier.network.config.title} cannot be trained further: name another "
            "model with --init, or start from random weights with --set training.init=null"
        )
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
        if request.resume:
            listener.say(
                f"{request.out}: resuming from the checkpoint"
                if folder.resumed
                else f"{request.out}: no checkpoint to resume from: starting from the beginning"
            )
        if folder.earlier_model is not None:
            listener.say(f"{folder.earlier_model}: the model so far, kept")
        known = learned_from(data, recipe, listener)
        processes = recipe.training.devices * (1 + workers(recipe, device))
        cache = PixelCache(data.sources, recipe.data.cache_mb // processes)
        spec = measure_input(cache, data, recipe)
        if earlier is not None:
            kept = earlier.input.model_dump(include={"channels", "mean", "std", "scale"})
            spec = InputSpec.model_validate(spec.model_dump() | kept)
        network, rows = _stages(data, cache, spec, earlier, recipe, device, folder, listener, known)
        if only_helps():
            raise SystemExit(0)
        everything = _validation(data, cache, spec, recipe, None)
        where = f"{'all' if len(everything) > 1 else 'the'} {_named(everything, data)}"
        listener.say(f"scoring {where}")
        scored = score(network, spec, data, everything, listener)
        seconds = rows[-1].seconds if rows else 0.0
        limits = conclude(request, known, rows, scored)
        provenance = facts(request, data, spec, device, seconds, limits.weights)
        final = scores(scored.confusion, scored.diagnoses, data)
        header = ModelHeader(
            name=request.folder.resolve().name,
            architecture=recipe.model.architecture(len(data.schema), recipe.training.stages[-1]),
            classes=data.schema,
            input=spec,
            training={**provenance, TRAINED_ON: slides_of(data), "scores": final, "limits": limits.as_json()},
            tissue=remember(network, spec, data, cache),
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


def _stages(
    data: TrainingData,
    cache: PixelCache,
    spec: InputSpec,
    earlier: ModelBundle | None,
    recipe: Recipe,
    device: torch.device,
    folder: TrainingFolder,
    listener: TrainingProgress,
    known: Known,
) -> tuple[Network, list[HistoryRow]]:
    """Train stage after stage; each takes over the layers that fit from the previous one."""
    weights = class_weights(data.training_pixels(), recipe.loss)
    network: Network | None = None
    rows: list[HistoryRow] = []
    stages = recipe.training.stages
    for number, stage in enumerate(stages, start=1):
        torch.manual_seed(recipe.training.seed + number)
        before, network = network, _network(recipe, len(data.schema), stage, network, earlier)
        listener.say(describe(network))
        if is_given(network):
            pass  # its weights are those of the model, or of the previous stage
        elif before is not None:
            take_over(network, before.state_dict(), data.schema, data.schema)
        elif earlier is not None:
            kept = take_over(network, earlier.network.state_dict(), data.schema, earlier.schema)
            if not kept.tensors:
                raise TrainingError(
                    f"{earlier.path}: no layer fits this network: choose one like it with "
                    "--set model.NAME=VALUE, or start from random weights with --set training.init=null"
                )
            listener.say(f"from {earlier.name}: {kept}")
        drawn, epoch_steps = _draws(data, cache, recipe)
        validation = _validation(data, cache, spec, recipe, _validated(recipe))
        plan = StagePlan(
            number=number,
            count=len(stages),
            steps=None if recipe.training.epochs is None else recipe.training.epochs * epoch_steps,
            seconds=None if recipe.training.minutes is None else recipe.training.minutes * 60 / len(stages),
            epoch_steps=epoch_steps,
            validation_steps=epoch_steps * _validated_epochs(recipe),
            folder=folder.stage(number, stage),
            logs=folder.stage_logs(number, stage),
            device=device,
            precision=LIGHTNING_PRECISION[precision(recipe, device)],
            validated=_named(validation, data),
            chooses=can_tell(known.classes),
            enough_steps=recipe.training.enough_steps,
            validated_steps=validated_steps(recipe, [rect for _, rect in validation.tiles]),
        )
        module = SegmentationModule(network, spec, weights, recipe, data.beyond)
        stage_data = StageData(drawn, validation, workers(recipe, device))
        history = run_stage(module, stage_data, plan, recipe, listener)
        network = module.network.cpu()
        rows += _shifted(history.rows, rows)
    assert network is not None  # there is a stage
    return network.eval(), rows


def _network(
    recipe: Recipe, classes: int, stage: Stage, before: Network | None, earlier: ModelBundle | None
) -> Network:
    """Make a stage's network with random weights; one that was given in Python keeps its own."""
    if earlier is not None and is_given(earlier.network):
        return copy.deepcopy(before or earlier.network).train()
    return build_network(recipe.model.architecture(classes, stage))


def _check_classes(given: ModelBundle, schema: ClassSchema) -> None:
    """Check that a network whose outputs are fixed has the classes of the data."""
    own, wanted = ([c.name for c in each.classes] for each in (given.schema, schema))
    if own != wanted:
        raise UsageError(
            f"{given.name}: its network has the classes {', '.join(own)}, but the data have "
            f"{', '.join(wanted)}: make them the same"
        )


def _draws(data: TrainingData, cache: PixelCache, recipe: Recipe) -> tuple[PatchDraws | ImageDraws, int]:
    """Return what samples are drawn from, and the number of steps in an epoch."""
    from wsi_seg.training.data.augment import Augmentation

    training, seed = recipe.training, recipe.training.seed
    processes = training.batch_size * training.devices
    if recipe.data.sampling == "whole":
        images = ImageDraws(cache, data.sizes, data.split, recipe.data.sizes, processes, seed)
        return images, images.epoch_batches
    side = recipe.data.patch
    read = max(Augmentation(recipe.augment, (side, side)).input_size)
    patches = PatchDraws(cache, data.sizes, data.split, data.surveys, data.schema, read, seed)
    known = int(data.training_pixels().sum())
    steps = -(-known // (side**2 * processes))
    return patches, training.epoch_steps or min(max(steps, EPOCH_STEPS[0]), EPOCH_STEPS[1])


def _validation(
    data: TrainingData, cache: PixelCache, spec: InputSpec, recipe: Recipe, limit: int | None
) -> Tiles | Images:
    small = max(width * height for width, height in data.sizes) <= LARGEST_WHOLE
    if data.mpp is None and (spec.size is not None or small):
        return Images(cache, data.split, spec.size, limit, recipe.model.config(2).multiple)
    return Tiles(cache, data.split, data.surveys, limit)


def _named(validation: Tiles | Images, data: TrainingData) -> str:
    return f"{validation} " + ("kept out" if data.split.unseen else "trained on")


def _validated(recipe: Recipe) -> int:
    """Return the number of tiles or images to validate on during training."""
    fewest, most = VALIDATED
    minutes = recipe.training.minutes
    return most if minutes is None else min(max(int(minutes * VALIDATED_A_MINUTE), fewest), most)


def _validated_epochs(recipe: Recipe) -> int:
    """Return the number of epochs between validations, if a stage ends after a number of epochs."""
    epochs, validations = recipe.training.epochs, recipe.training.validations
    return 1 if epochs is None or validations is None else max(1, epochs // validations)


def _shifted(rows: list[HistoryRow], before: list[HistoryRow]) -> list[HistoryRow]:
    """Let steps, epochs and seconds continue from the end of the previous stage."""
    if not before:
        return rows
    last = before[-1]
    return [
        replace(
            row, step=row.step + last.step, epoch=row.epoch + last.epoch, seconds=row.seconds + last.seconds
        )
        for row in rows
    ]
