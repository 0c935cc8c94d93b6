"""Where a model comes from: for the model file, the report, and a training that is resumed."""

from __future__ import annotations

import hashlib
import os
import platform
from typing import TYPE_CHECKING

import numpy as np
import torch

from wsi_seg import __version__
from wsi_seg.data.annotated_slides import LabelledSlide
from wsi_seg.data.masked_images import LabelledImage
from wsi_seg.slides.content import stamp
from wsi_seg.training.engine.hardware import precision
from wsi_seg.training.engine.training_folder import CONTENT
from wsi_seg.training.recipe import recorded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pydantic import JsonValue

    from wsi_seg.data.truth import TruthSettings
    from wsi_seg.evaluation.metrics import Confusion
    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.models.header import InputSpec
    from wsi_seg.training.data.training_data import TrainingData
    from wsi_seg.training.request import TrainRequest

LINES_NAMED = 20


def identity(request: TrainRequest, data: TrainingData, earlier: ModelBundle | None) -> dict[str, JsonValue]:
    """Return what must be the same for a training to resume."""
    return {
        "recipe": recorded(request.recipe),
        "data": [str(path.resolve()) for path in request.data.files],
        "truth": request.data.truth.model_dump(mode="json"),
        "classes": data.schema.model_dump(mode="json"),
        "resolution": [data.mpp, request.data.mpp],
        "read from": list(data.read_from),
        "pixels": data.training_pixels().tolist(),
        CONTENT: _content(data),
        "init": earlier.fingerprint if earlier else None,
    }


def _content(data: TrainingData) -> str:
    """Return a hash of slides' content, or images' sizes in bytes, and of where which class lies."""
    digest = hashlib.sha256()
    for source, survey in zip(data.sources, data.surveys, strict=True):
        if isinstance(source, LabelledSlide):
            digest.update(source.files.content.encode())
        elif isinstance(source, LabelledImage):
            found = [stamp(path) for path in (source.image, source.mask) if path is not None]
            digest.update(f"{source.name} {[size for size, _ in filter(None, found)]}".encode())
        digest.update(survey.cells.tobytes())
    return digest.hexdigest()[:16]


def facts(
    request: TrainRequest,
    data: TrainingData,
    spec: InputSpec,
    device: torch.device,
    seconds: float,
    weights: str,
) -> dict[str, JsonValue]:
    """Return what the report and the model file say about where the weights come from."""
    recipe = request.recipe
    training, validation, unseen = data.training_pixels(), data.validation_pixels(), data.split.unseen
    device_name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    return {
        "data": {
            "sources": _first([source.name for source in data.sources]),
            "um per pixel": data.mpp,
            **({"read from": _first(data.read_from)} if data.read_from else {}),
            **({"remarks": _first(data.remarks)} if data.remarks else {}),
            "labelled megapixels to train on": _by_class(data, training),
            **({"labelled megapixels to validate on": _by_class(data, validation)} if unseen else {}),
            "not outlined": _unoutlined(request.data.truth),
            "started from": _start(request),
        },
        "split": data.split.description,
        "scored": _scored(spec, weights, unseen),
        "recipe": recipe.model_dump(mode="json"),
        "input": spec.model_dump(mode="json"),
        "machine": {
            "device": device_name,
            "cores": os.cpu_count(),
            "precision": precision(recipe, device),
            "seconds": round(seconds, 1),
            "platform": platform.platform(),
            "wsi-seg": __version__,
            "torch": torch.__version__,
        },
        "command": request.command,
    }


def _start(request: TrainRequest) -> str:
    """Describe the weights that the training began with."""
    if request.given is not None:  # whatever the recipe would start from
        return str(request.given.path)
    return request.init or request.recipe.training.init or "random weights"


def slides_of(data: TrainingData) -> list[JsonValue]:
    """Return the fingerprints of the slides that are trained on, completely or in part."""
    sources = [data.sources[i] for i in data.split.training]
    return [source.fingerprint for source in sources if isinstance(source, LabelledSlide)]


def _first(lines: Sequence[str]) -> list[JsonValue]:
    """Return the first lines, and how many more there are."""
    more = [f"and {len(lines) - LINES_NAMED} more"] if len(lines) > LINES_NAMED else []
    return [*lines[:LINES_NAMED], *more]


def _unoutlined(truth: TruthSettings) -> str:
    """Describe the class of pixels that nobody outlined."""
    what = truth.rest or ("background" if truth.roi_class else "unknown")
    return f"{what}, within {truth.roi_class}" if truth.roi_class else what


def _scored(spec: InputSpec, weights: str, unseen: bool) -> str:
    """Describe the data of the scores."""
    if spec.size is not None:
        width, height = spec.size
        resized = f"images resized to {width} x {height} (`wsi-seg evaluate` takes full size)"
        return f"weights kept: {weights}; on {resized}"
    what = "kept out" if unseen else "trained on"
    return f"weights kept: {weights}; on all known pixels of what was {what}, in one confusion matrix"


def _by_class(data: TrainingData, pixels: NDArray[np.int64]) -> dict[str, JsonValue]:
    return {c.name: round(int(n) / 1e6, 4) for c, n in zip(data.schema.classes, pixels, strict=True)}


def scores(confusion: Confusion, diagnoses: Confusion, data: TrainingData) -> dict[str, JsonValue]:
    """Return the final scores; null for classes without known pixels."""
    figures: dict[str, JsonValue] = {
        "mean_iou": _rounded(confusion.mean_iou),
        "pixel_accuracy": _rounded(confusion.pixel_accuracy),
        "iou": {c.name: _rounded(float(v)) for c, v in zip(data.schema.classes, confusion.iou, strict=True)},
    }
    if len(diagnoses.counts):
        figures["diagnosis"] = {
            "accuracy": _rounded(diagnoses.pixel_accuracy),
            "right": int(np.trace(diagnoses.counts)),
            "diagnosed": diagnoses.pixels,
        }
    return figures


def _rounded(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None
