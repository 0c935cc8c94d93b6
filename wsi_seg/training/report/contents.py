"""The contents of a training's report."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.data.sources import IGNORE
from wsi_seg.evaluation.metrics import Confusion
from wsi_seg.files.document import versioned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pydantic import JsonValue

    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.training.report.limits import Limits

CURVES, CONFUSION, SCORES, EXAMPLES = "curves.png", "confusion.png", "scores.png", "examples.png"
PANELS = ("Image", "Truth", "Prediction")
"""What is shown of an example, side by side."""

ONE_BY_ONE = "examples"
"""Folder of the examples' single pictures, in that of the report."""


@dataclass(frozen=True)
class HistoryRow:
    """The state of a training at one step; None for values that were not measured there.

    Attributes
    ----------
    step : int
        Optimiser steps done, over all stages.
    epoch : int
    seconds : float
        Since the beginning, including the time before a resume.
    learning_rate : float
    train_loss : float or None
        Loss of this step, or the mean since the previous row.
    val_loss, val_miou : float or None
        Over all validation pixels whose class is known.
    val_diagnosis : float or None
        Share of the validated patches or images with the right diagnosis, for a network that makes them.
    stage : int
        Number of the stage, from 1.
    """

    step: int
    epoch: int
    seconds: float
    learning_rate: float
    train_loss: float | None = None
    val_loss: float | None = None
    val_miou: float | None = None
    val_diagnosis: float | None = None
    stage: int = 1


@dataclass(frozen=True)
class Place:
    """Where an example lies on its slide.

    Attributes
    ----------
    slide : str
        The slide's file.
    series : int or None
        Which image of the file.
    x, y, width, height : float
        In QuPath pixels.
    """

    slide: str
    series: int | None
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, eq=False)
class Example:
    """A validation patch.

    Attributes
    ----------
    name : str
        The slide or image, and where it lies in it.
    rgb : uint8 array, shape (height, width, 3)
    truth, prediction : uint8 arrays, shape (height, width)
        Class indices; 255 in the truth where the class is unknown.
    place : Place or None
        Of a part of a slide.
    """

    name: str
    rgb: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    prediction: NDArray[np.uint8]
    place: Place | None = None

    def about(self, number: int, schema: ClassSchema) -> dict[str, JsonValue]:
        """Describe it for programs; `number` is its own among the examples, from 1."""
        scores = Confusion.of(self.truth, self.prediction, len(schema))
        return {
            "name": self.name,
            "right": finite(self.right),
            "known": float((self.truth != IGNORE).mean()),
            "classes": [
                {"id": c.id, "name": c.name, "iou": finite(float(scores.iou[i]))}
                for i, c in enumerate(schema.classes)
                if scores.present[i]
            ],
            "place": None if self.place is None else asdict(self.place),
            "pictures": {what.lower(): picture_of(number, what) for what in PANELS},
        }

    @property
    def right(self) -> float:
        """Share of the known pixels whose class was found; NaN where none is known."""
        known = self.truth != IGNORE
        return float((self.truth == self.prediction)[known].mean()) if known.any() else math.nan


@dataclass(frozen=True, eq=False)
class TrainingReport:
    """All contents of a report.

    Attributes
    ----------
    title : str
    command : str
        The command line.
    schema : ClassSchema
        Classes, in the order of the class indices.
    history : tuple of HistoryRow
        In the order of the steps.
    confusion : int64 array, shape (classes, classes)
        Validation pixels by true class (row) and class found (column).
    examples : tuple of Example
        In the order in which they are shown.
    facts : mapping of str to JSON
        Sections by their headings (data, split, recipe, machine, ...), in order. An object becomes a table,
        other values a paragraph.
    limits : Limits or None
        How far the scores can be relied on.
    """

    title: str
    command: str
    schema: ClassSchema
    history: tuple[HistoryRow, ...]
    confusion: NDArray[np.int64]
    examples: tuple[Example, ...]
    facts: Mapping[str, JsonValue]
    limits: Limits | None = None

    def __post_init__(self) -> None:
        n = len(self.schema)
        if self.confusion.shape != (n, n):
            raise ValueError(f"a confusion matrix of shape {self.confusion.shape} for {n} classes")

    @cached_property
    def scores(self) -> Confusion:
        """The confusion matrix, with the scores computed from it."""
        return Confusion(np.pad(self.confusion, ((0, 0), (0, 1))))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(c.name for c in self.schema.classes)

    def as_json(self) -> dict[str, JsonValue]:
        """Return everything except the pictures as JSON; null stands for scores that do not exist."""
        scores = self.scores
        figures = {
            "pixels": scores.true_pixels,
            "iou": scores.iou,
            "dice": scores.dice,
            "precision": scores.precision,
            "recall": scores.recall,
        }
        content = {
            "title": self.title,
            "command": self.command,
            "scores": {
                "mean_iou": finite(scores.mean_iou),
                "mean_dice": finite(scores.mean_dice),
                "pixel_accuracy": finite(scores.pixel_accuracy),
                "pixels": scores.pixels,
                "classes": [
                    {"id": c.id, "name": c.name}
                    | {key: finite(row[i].item()) for key, row in figures.items()}
                    for i, c in enumerate(self.schema.classes)
                ],
            },
            "confusion": self.confusion.tolist(),
            "history": [{key: finite(v) for key, v in asdict(row).items()} for row in self.history],
            "schema": self.schema.model_dump(mode="json"),
            "examples": [e.about(number, self.schema) for number, e in enumerate(self.examples, 1)],
            "facts": finite(dict(self.facts)),
        }
        if self.limits is not None:
            content["limits"] = self.limits.as_json() | {"continue_with": self.limits.continue_with}
        return versioned(content)


def picture_of(number: int, what: str) -> str:
    """Return where a picture of an example is, in the folder of the report."""
    return f"{ONE_BY_ONE}/{number}-{what.lower()}.jpg"


def finite(value: JsonValue) -> JsonValue:
    """Replace numbers that JSON cannot express with null, at any depth."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: finite(v) for key, v in value.items()}
        case list():
            return [finite(v) for v in value]
    return value
