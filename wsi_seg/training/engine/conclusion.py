"""What a training says of its limits: of its data before it begins, and of itself when it has ended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.evaluation.near_outlines import away_from_outlines
from wsi_seg.training.data.class_extents import can_tell, extents
from wsi_seg.training.data.unshown import find_unshown
from wsi_seg.training.engine.minutes import continuing, minutes_for
from wsi_seg.training.engine.processes import only_helps
from wsi_seg.training.report.limits import Limits, Ranges, before_training, chosen_weights
from wsi_seg.training.report.rise import rise_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsi_seg.progress import TrainingProgress
    from wsi_seg.training.data.class_extents import ClassExtent
    from wsi_seg.training.data.training_data import TrainingData
    from wsi_seg.training.data.unshown import Unshown
    from wsi_seg.training.engine.final_score import Scored
    from wsi_seg.training.recipe import Recipe
    from wsi_seg.training.report.contents import HistoryRow
    from wsi_seg.training.request import TrainRequest


@dataclass(frozen=True)
class Known:
    """What is known of the data before a training begins.

    Attributes
    ----------
    classes : tuple of ClassExtent
    unshown : Unshown or None
        Tissue that no outline shows; None where it was not looked for.
    weights : str
        Which weights are kept, and why.
    """

    classes: tuple[ClassExtent, ...]
    unshown: Unshown | None
    weights: str


def learned_from(data: TrainingData, recipe: Recipe, listener: TrainingProgress) -> Known:
    """Find out what the data cannot teach or tell, and say so before time is spent on them."""
    classes = extents(data)
    unshown = None if only_helps() else find_unshown(data)
    may_stop = recipe.training.early_stop is not None
    weights = chosen_weights(classes, may_stop, recipe.training.averaging is not None)
    for line in before_training(classes, unshown):
        listener.say(line)
    if may_stop and not can_tell(classes):
        listener.say(f"weights kept: {weights}")
    return Known(classes, unshown, weights)


def conclude(request: TrainRequest, known: Known, history: Sequence[HistoryRow], scored: Scored) -> Limits:
    """Put together what a training knows of its limits."""
    training = request.recipe.training
    steps = history[-1].step if history else 0
    seconds = history[-1].seconds if history else 0.0
    return Limits(
        classes=known.classes,
        iou=tuple(scored.confusion.iou.tolist()),
        ranges=_ranges(known, scored, training.seed),
        away=away_from_outlines(scored.confusion, scored.away),
        weights=known.weights,
        steps=steps,
        enough_steps=training.enough_steps,
        rise=rise_of(history) if can_tell(known.classes) else None,
        continue_with=_continuing(request, steps, seconds),
        unshown=known.unshown,
    )


def _ranges(known: Known, scored: Scored, seed: int) -> Ranges:
    """Return how far the scores scatter; of what was trained on, that says nothing."""
    if any(each.unseen for each in known.classes):
        return scored.places.ranges(seed)
    return Ranges(None, (None,) * len(known.classes), 0, scored.places.unit)


def _continuing(request: TrainRequest, steps: int, seconds: float) -> str | None:
    """Return the command for more time: for the steps that the recipe needs, or else for twice as many."""
    training = request.recipe.training
    if training.minutes is None or len(training.stages) > 1 or not steps:
        return None
    enough = training.enough_steps or 0
    wanted = enough if steps < enough else 2 * steps
    minutes = minutes_for(wanted, max(seconds / 60, training.minutes), steps)
    return continuing(request.command, max(minutes, math.floor(training.minutes) + 1))
