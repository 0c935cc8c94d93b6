"""A whole training: data in; a model file that `predict` takes and a report out."""

from __future__ import annotations

import os
import platform
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from wsi_seg import __version__
from wsi_seg.errors import DeviceError, TrainingError, WsiSegError
from wsi_seg.files import writing
from wsi_seg.inference.segmenter import choose_device
from wsi_seg.models.architecture import Network, build_network
from wsi_seg.models.bundle import ModelHeader, load_bundle, resolve_model, save_bundle
from wsi_seg.progress import TrainingProgress
from wsi_seg.training.cache import PixelCache
from wsi_seg.training.data import DataRequest, TrainingData, lacking, measure_input, open_data
from wsi_seg.training.draws import ImageDraws, PatchDraws
from wsi_seg.training.folder import TrainingFolder
from wsi_seg.training.inherit import take_over
from wsi_seg.training.loss import class_weights
from wsi_seg.training.module import SegmentationModule
from wsi_seg.training.report import HistoryRow, TrainingReport, write_report
from wsi_seg.training.score import score
from wsi_seg.training.stage import StageData, StagePlan, run_stage
from wsi_seg.training.validation import Images, Tiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from pydantic import JsonValue

    from wsi_seg.data.truth import TruthSettings
    from wsi_seg.evaluation.metrics import Confusion
    from wsi_seg.models.bundle import InputSpec, ModelBundle
    from wsi_seg.training.recipe import Recipe

VALIDATED = (8, 96)
VALIDATED_A_MINUTE = 4
"""Tiles or images in a validation under way, so that those take a small part of the time; the last one takes
all that was kept out."""

EPOCH_STEPS = (20, 500)
LIGHTNING_PRECISION = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}


@dataclass(frozen=True)
class TrainRequest:
    """A training as the user asks for it.

    Attributes
    ----------
    data : DataRequest
    recipe : Recipe
    out : Path
        Folder for the model, the report and what is needed to go on.
    init : str or None
        Model to start from, and to take the working resolution from; None leaves it to the recipe.
    device : str
    resume, overwrite : bool
        Go on with the unfinished training in `out`; or throw away what is there.
    command : str
        What was typed.
    """

    data: DataRequest
    recipe: Recipe
    out: Path
    init: str | None = None
    device: str = "auto"
    resume: bool = False
    overwrite: bool = False
    command: str = ""


@dataclass(frozen=True)
class Trained:
    """What came out of a training.

    Attributes
    ----------
    model, report : Path
    confusion : Confusion
        Of the final model on everything that was kept out.
    seconds : float
        Of the stages, validations included.
    """

    model: Path
    report: Path
    confusion: Confusion
    seconds: float


def train(request: TrainRequest, listener: TrainingProgress | None = None) -> Trained:
    """Train a model.

    Parameters
    ----------
    request : TrainRequest
    listener : TrainingProgress, optional
        Hears how it goes.

    Raises
    ------
    WsiSegError
        One line that says what is wrong and what to do.
    """
    listener = listener or TrainingProgress()
    device = choose_device(request.device)
    recipe = request.recipe
    start = request.init or recipe.training.init
    earlier = load_bundle(resolve_model(start)) if start else None
    data = open_data(request.data, recipe, earlier.input.mpp if earlier and request.init else None)
    for remark in (*data.remarks, *lacking(data)):
        listener.say(remark)
    listener.say(data.split.description)
    folder = TrainingFolder(request.out, request.overwrite, request.resume)
    with folder.locked(_record(request, data, earlier)), _told(device, request.out):
        cache = PixelCache(data.sources, recipe.data.cache_mb)
        spec = earlier.input.model_copy(update={"mpp": data.mpp or earlier.input.mpp}) if earlier else None
        spec = spec or measure_input(cache, data, recipe)
        network, rows = _stages(data, cache, spec, earlier, recipe, device, folder, listener)
        if int(os.environ.get("LOCAL_RANK", "0")):  # this process only lent a hand
            raise SystemExit(0)
        listener.say("scoring all that was kept out")
        confusion, examples = score(network, spec, data, _validation(data, cache, spec, None))
        seconds = rows[-1].seconds if rows else 0.0
        facts = _facts(request, data, spec, device, seconds)
        header = ModelHeader(
            name=request.out.resolve().name,
            architecture=recipe.model.architecture(len(data.schema), recipe.training.stages[-1]),
            classes=data.schema,
            input=spec,
            training={**facts, "scores": _scores(confusion, data)},
        )
        report = TrainingReport(
            title=header.name,
            command=request.command,
            schema=data.schema,
            history=tuple(rows),
            confusion=confusion.counts[:, :-1],
            examples=examples,
            facts=facts,
        )
        page = write_report(folder.report, report)
        save_bundle(folder.model, network, header)  # last, since it says that the training is finished
        folder.finish()
    return Trained(folder.model, page, confusion, seconds)


def _stages(
    data: TrainingData,
    cache: PixelCache,
    spec: InputSpec,
    earlier: ModelBundle | None,
    recipe: Recipe,
    device: torch.device,
    folder: TrainingFolder,
    listener: TrainingProgress,
) -> tuple[Network, list[HistoryRow]]:
    """Train stage after stage; each takes over what fits of the one before."""
    weights = class_weights(data.training_pixels(), recipe.loss)
    network: Network | None = None
    rows: list[HistoryRow] = []
    stages = recipe.training.stages
    for number, stage in enumerate(stages, start=1):
        torch.manual_seed(recipe.training.seed + number)
        before, network = network, build_network(recipe.model.architecture(len(data.schema), stage))
        if before is not None:
            take_over(network, before.state_dict(), data.schema, data.schema)
        elif earlier is not None:
            kept = take_over(network, earlier.network.state_dict(), data.schema, earlier.schema)
            if not kept.tensors:
                raise TrainingError(
                    f"{earlier.path}: no layer fits this network: give its own --set model. values"
                )
            listener.say(f"from {earlier.name}: {kept}")
        drawn, epoch_steps = _draws(data, cache, recipe)
        plan = StagePlan(
            number=number,
            count=len(stages),
            steps=None if recipe.training.epochs is None else recipe.training.epochs * epoch_steps,
            seconds=None if recipe.training.minutes is None else recipe.training.minutes * 60 / len(stages),
            epoch_steps=epoch_steps,
            folder=folder.stage(number, stage),
            logs=folder.stage_logs(number, stage),
            device=device,
            precision=LIGHTNING_PRECISION[_precision(recipe, device)],
        )
        module = SegmentationModule(network, spec, weights, recipe)
        stage_data = StageData(
            drawn, _validation(data, cache, spec, _validated(recipe)), _workers(recipe, device)
        )
        history = run_stage(module, stage_data, plan, recipe, listener)
        network = module.network.cpu()
        rows += _shifted(history.rows, rows)
    assert network is not None  # there is a stage
    return network.eval(), rows


def _draws(data: TrainingData, cache: PixelCache, recipe: Recipe) -> tuple[PatchDraws | ImageDraws, int]:
    """Return what to draw from, and the steps of an epoch."""
    from wsi_seg.training.augment import Augmentation

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


def _validation(data: TrainingData, cache: PixelCache, spec: InputSpec, limit: int | None) -> Tiles | Images:
    if spec.size is not None and spec.mpp is None:
        return Images(cache, data.split, spec.size, limit)
    return Tiles(cache, data.split, data.surveys, limit)


def _validated(recipe: Recipe) -> int:
    """Return how much to validate on while training."""
    fewest, most = VALIDATED
    minutes = recipe.training.minutes
    return most if minutes is None else min(max(int(minutes * VALIDATED_A_MINUTE), fewest), most)


def _precision(recipe: Recipe, device: torch.device) -> str:
    """Choose bfloat16 where there is hardware for it."""
    if recipe.training.precision != "auto":
        return recipe.training.precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if torch.cpu.get_capabilities().get("amx_bf16") else "float32"


def _workers(recipe: Recipe, device: torch.device) -> int:
    """On a CPU the network needs all cores, and the cache makes reading cheap."""
    if recipe.training.workers is not None:
        return recipe.training.workers
    return 0 if device.type == "cpu" else min(8, max((os.cpu_count() or 1) - 1, 1))


def _shifted(rows: list[HistoryRow], before: list[HistoryRow]) -> list[HistoryRow]:
    """Let steps, epochs and seconds go on where the stage before ended."""
    if not before:
        return rows
    last = before[-1]
    return [
        HistoryRow(
            step=row.step + last.step,
            epoch=row.epoch + last.epoch,
            seconds=row.seconds + last.seconds,
            learning_rate=row.learning_rate,
            train_loss=row.train_loss,
            val_loss=row.val_loss,
            val_miou=row.val_miou,
        )
        for row in rows
    ]


def _record(request: TrainRequest, data: TrainingData, earlier: ModelBundle | None) -> dict[str, JsonValue]:
    """Return what must be the same for a training to go on."""
    return {
        "recipe": request.recipe.model_dump(mode="json"),
        "data": [str(path.resolve()) for path in request.data.paths],
        "truth": request.data.truth.model_dump(mode="json"),
        "classes": data.schema.model_dump(mode="json"),
        "resolution": [data.mpp, request.data.mpp],
        "pixels": data.training_pixels().tolist(),
        "init": earlier.fingerprint if earlier else None,
    }


def _facts(
    request: TrainRequest, data: TrainingData, spec: InputSpec, device: torch.device, seconds: float
) -> dict[str, JsonValue]:
    """Return what the report and the model file say of where the weights come from."""
    recipe = request.recipe
    training, validation = data.training_pixels(), data.validation_pixels()
    device_name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    names: list[JsonValue] = [source.name for source in data.sources]
    return {
        "data": {
            "sources": names if len(names) <= 20 else [*names[:20], f"and {len(names) - 20} more"],
            "um per pixel": data.mpp,
            "labelled megapixels to train on": _by_class(data, training),
            "labelled megapixels to validate on": _by_class(data, validation),
            "not outlined": _unoutlined(request.data.truth),
            "started from": request.init or recipe.training.init or "random weights",
        },
        "split": data.split.description,
        "scored": _scored(spec),
        "recipe": recipe.model_dump(mode="json"),
        "input": spec.model_dump(mode="json"),
        "machine": {
            "device": device_name,
            "cores": os.cpu_count(),
            "precision": _precision(recipe, device),
            "seconds": round(seconds, 1),
            "platform": platform.platform(),
            "wsi-seg": __version__,
            "torch": torch.__version__,
        },
        "command": request.command,
    }


def _unoutlined(truth: TruthSettings) -> str:
    """Say what pixels are that nobody outlined."""
    what = truth.rest or ("background" if truth.roi_class else "unknown")
    return f"{what}, within {truth.roi_class}" if truth.roi_class else what


def _scored(spec: InputSpec) -> str:
    """Say what the scores are scores of."""
    if spec.size is not None:
        width, height = spec.size
        return (
            f"the final weights, on images resized to {width} x {height} (`wsi-seg evaluate` takes full size)"
        )
    return "the final weights, on all known pixels of what was kept out, in one confusion matrix"


def _by_class(data: TrainingData, pixels: NDArray[np.int64]) -> dict[str, JsonValue]:
    return {c.name: round(int(n) / 1e6, 4) for c, n in zip(data.schema.classes, pixels, strict=True)}


def _scores(confusion: Confusion, data: TrainingData) -> dict[str, JsonValue]:
    """Return the final figures, null for classes that nothing is known of."""
    return {
        "mean_iou": _rounded(confusion.mean_iou),
        "pixel_accuracy": _rounded(confusion.pixel_accuracy),
        "iou": {c.name: _rounded(float(v)) for c, v in zip(data.schema.classes, confusion.iou, strict=True)},
    }


def _rounded(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None


@contextmanager
def _told(device: torch.device, folder: Path) -> Iterator[None]:
    """Turn what goes wrong underneath into one line."""
    try:
        with writing(folder):
            yield
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"{device}: out of memory: give a smaller --set training.batch_size or --set data.patch, "
            "and start anew with --overwrite"
        ) from error
    except WsiSegError as error:
        # A reading process hands its traceback on as the message; the last line of it is the error's own.
        line = str(error).strip().splitlines()[-1]
        own = line.removeprefix(f"{type(error).__module__}.{type(error).__name__}: ")
        raise type(error)(own) from error
