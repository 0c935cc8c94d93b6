"""What the report of a training says."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.evaluation.metrics import Confusion
from wsi_seg.files.document import versioned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pydantic import JsonValue

    from wsi_seg.models.classes import ClassSchema

CURVES, CONFUSION, SCORES, EXAMPLES = "curves.png", "confusion.png", "scores.png", "examples.png"


@dataclass(frozen=True)
class HistoryRow:
    """Where a training stood; None for what was not measured then.

    Attributes
    ----------
    step : int
        Optimiser steps done, over all stages.
    epoch : int
    seconds : float
        Since the beginning, what was done before a resume included.
    learning_rate : float
    train_loss : float or None
        Of this step, or the mean since the row before.
    val_loss, val_miou : float or None
        Over all validation pixels whose class is known.
    val_diagnosis : float or None
        Share of the validated patches or images whose diagnosis was found, for a network that makes them.
    stage : int
        Which stage, from 1.
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


@dataclass(frozen=True, eq=False)
class Example:
    """A validation patch.

    Attributes
    ----------
    name : str
        Which slide or image, and where.
    rgb : uint8 array, shape (height, width, 3)
    truth, prediction : uint8 arrays, shape (height, width)
        Class indices; in the truth 255 where the class is unknown.
    """

    name: str
    rgb: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    prediction: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class TrainingReport:
    """All that a report says.

    Attributes
    ----------
    title : str
    command : str
        What was typed.
    schema : ClassSchema
        Classes, in the order of the class indices.
    history : tuple of HistoryRow
        By step.
    confusion : int64 array, shape (classes, classes)
        Validation pixels by true class (row) and class found (column).
    examples : tuple of Example
    facts : mapping of str to JSON
        Sections of text by their headings (data, split, recipe, machine, ...), in order. A section that is an
        object becomes a table.
    """

    title: str
    command: str
    schema: ClassSchema
    history: tuple[HistoryRow, ...]
    confusion: NDArray[np.int64]
    examples: tuple[Example, ...]
    facts: Mapping[str, JsonValue]

    def __post_init__(self) -> None:
        n = len(self.schema)
        if self.confusion.shape != (n, n):
            raise ValueError(f"a confusion matrix of shape {self.confusion.shape} for {n} classes")

    @cached_property
    def scores(self) -> Confusion:
        """The figures that follow from the confusion matrix."""
        return Confusion(np.pad(self.confusion, ((0, 0), (0, 1))))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(c.name for c in self.schema.classes)

    def as_json(self) -> dict[str, JsonValue]:
        """Return all but the pictures as JSON; null stands for figures that there are none of."""
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
            "examples": [example.name for example in self.examples],
            "facts": finite(dict(self.facts)),
        }
        return versioned(content)


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
