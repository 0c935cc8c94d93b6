"""The stages of a training: each takes over the layers that fit from the one before."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from wsi_seg.errors import TrainingError
from wsi_seg.models.architecture import build_network
from wsi_seg.models.cost import describe
from wsi_seg.models.given import is_given
from wsi_seg.training.data.class_extents import can_tell
from wsi_seg.training.data.draws import ImageDraws, PatchDraws
from wsi_seg.training.engine.hardware import precision, workers
from wsi_seg.training.engine.inherit import take_over
from wsi_seg.training.engine.loss import class_weights
from wsi_seg.training.engine.minutes import validated_steps
from wsi_seg.training.engine.module import SegmentationModule
from wsi_seg.training.engine.stage import StageData, run_stage
from wsi_seg.training.engine.stage_plan import StagePlan
from wsi_seg.training.engine.validation import described, kept_out

if TYPE_CHECKING:
    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.models.header import InputSpec
    from wsi_seg.models.network import Network, Stage
    from wsi_seg.progress import TrainingProgress
    from wsi_seg.training.data.cache import PixelCache
    from wsi_seg.training.data.training_data import TrainingData
    from wsi_seg.training.engine.conclusion import Known
    from wsi_seg.training.engine.training_folder import TrainingFolder
    from wsi_seg.training.engine.validation import Images, Tiles
    from wsi_seg.training.recipe import Recipe
    from wsi_seg.training.report.contents import HistoryRow

VALIDATED = (8, 96)
VALIDATED_A_MINUTE = 4
"""Tiles or images in a validation during training, which keeps its time short; the last validation takes
everything that was kept out."""

EPOCH_STEPS = (20, 500)
LIGHTNING_PRECISION = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}


@dataclass(frozen=True)
class Course:
    """All that the stages of a training have in common.

    Attributes
    ----------
    recipe : Recipe
    device : torch.device
    data : TrainingData
    cache : PixelCache
        Of the data's pixels.
    spec : InputSpec
        The input that the network is trained on.
    earlier : ModelBundle or None
        Model to start from.
    known : Known
        What is known of the data.
    """

    recipe: Recipe
    device: torch.device
    data: TrainingData
    cache: PixelCache
    spec: InputSpec
    earlier: ModelBundle | None
    known: Known

    def kept_out(self, limit: int | None = None) -> Tiles | Images:
        """Return what to validate on: all that was kept out, or at most so many tiles or images of it."""
        return kept_out(self.data, self.cache, self.spec, self.recipe, limit)


def run_stages(
    course: Course, folder: TrainingFolder, listener: TrainingProgress
) -> tuple[Network, list[HistoryRow]]:
    """Train stage after stage; each is resumed from its last checkpoint if there is one.

    Returns
    -------
    network : Network
        Of the last stage, in eval mode, on the CPU.
    history : list of HistoryRow
        Of all stages; steps, epochs and seconds continue from one to the next.

    Raises
    ------
    TrainingError
        If no layer of the model to start from fits, or the loss is no longer a number.
    OutputError
        If a checkpoint cannot be written.
    """
    data, recipe = course.data, course.recipe
    weights = class_weights(data.training_pixels(), recipe.loss)
    network: Network | None = None
    rows: list[HistoryRow] = []
    for number, stage in enumerate(recipe.training.stages, start=1):
        torch.manual_seed(recipe.training.seed + number)
        network = _network(course, stage, network, listener)
        drawn, epoch_steps = _draws(data, course.cache, recipe)
        validation = course.kept_out(_validated(recipe))
        plan = _plan(course, folder, number, epoch_steps, validation)
        module = SegmentationModule(network, course.spec, weights, recipe, data.beyond)
        stage_data = StageData(drawn, validation, workers(recipe, course.device))
        history = run_stage(module, stage_data, plan, recipe, listener)
        network = module.network.cpu()
        rows += _shifted(history.rows, rows)
    assert network is not None  # there is a stage
    return network.eval(), rows


def _network(course: Course, stage: Stage, before: Network | None, listener: TrainingProgress) -> Network:
    """Make a stage's network, with the weights of the one before, or of the model to start from."""
    schema, earlier = course.data.schema, course.earlier
    if earlier is not None and is_given(earlier.network):  # it takes its own weights along
        network = copy.deepcopy(before or earlier.network).train()
        listener.say(describe(network))
        return network
    network = build_network(course.recipe.model.architecture(len(schema), stage))
    listener.say(describe(network))
    if before is not None:
        take_over(network, before.state_dict(), schema, schema)
    elif earlier is not None:
        kept = take_over(network, earlier.network.state_dict(), schema, earlier.schema)
        if not kept.tensors:
            raise TrainingError(
                f"{earlier.path}: no layer fits this network: choose one like it with "
                "--set model.NAME=VALUE, or start from random weights with --set training.init=null"
            )
        listener.say(f"from {earlier.name}: {kept}")
    return network


def _plan(
    course: Course, folder: TrainingFolder, number: int, epoch_steps: int, validation: Tiles | Images
) -> StagePlan:
    recipe, stages = course.recipe, course.recipe.training.stages
    stage = stages[number - 1]
    return StagePlan(
        number=number,
        count=len(stages),
        steps=None if recipe.training.epochs is None else recipe.training.epochs * epoch_steps,
        seconds=None if recipe.training.minutes is None else recipe.training.minutes * 60 / len(stages),
        epoch_steps=epoch_steps,
        validation_steps=epoch_steps * _validated_epochs(recipe),
        folder=folder.stage(number, stage),
        logs=folder.stage_logs(number, stage),
        device=course.device,
        precision=LIGHTNING_PRECISION[precision(recipe, course.device)],
        validated=described(validation, course.data.split),
        chooses=can_tell(course.known.classes),
        enough_steps=recipe.training.enough_steps,
        validated_steps=validated_steps(recipe, [rect for _, rect in validation.tiles]),
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
