"""What the minutes of a training buy: said in its first seconds, while there is time to change them."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Callback

from wsi_seg.training.engine.stage_plan import VALIDATIONS
from wsi_seg.training.engine.validation import MARGIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightning.pytorch import LightningModule, Trainer

    from wsi_seg.progress import TrainingProgress
    from wsi_seg.slides.lattice import Rect
    from wsi_seg.training.engine.pace import Pace
    from wsi_seg.training.engine.stage_plan import StagePlan
    from wsi_seg.training.recipe import Recipe

WARM_STEPS = 3
"""The first steps read, open and compile what later ones find ready: they do not count."""

MEASURED_SECONDS, MEASURED_SHARE = 5.0, 0.1
"""How long is measured: so many seconds, or this share of the stage if that is less."""

MEASURED_STEPS = 3

VALIDATED_COST = 1 / 3
"""What looking at a pixel costs in a validation, beside a training step: no gradients."""


class Budget(Callback):
    """Measures the rate, and says once how many steps the time of a stage will buy.

    Parameters
    ----------
    plan : StagePlan
    pace : Pace
        Has the clock.
    listener : TrainingProgress
        Receives the line.
    """

    def __init__(self, plan: StagePlan, pace: Pace, listener: TrainingProgress) -> None:
        self._plan, self._pace, self._listener = plan, pace, listener
        self._steps_here = 0
        self._begun: tuple[int, float] | None = None
        self._said = plan.seconds is None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Measure, and say it when it is known."""
        if self._said or self._plan.seconds is None:
            return
        self._steps_here += 1
        if self._begun is None:
            if self._steps_here >= WARM_STEPS:
                self._begun = trainer.global_step, self._pace.elapsed
            return
        steps, seconds = trainer.global_step - self._begun[0], self._pace.elapsed - self._begun[1]
        long_enough = min(MEASURED_SECONDS, MEASURED_SHARE * self._plan.seconds)
        if steps < MEASURED_STEPS or seconds < long_enough:
            return
        self._said = True
        left = max(self._plan.seconds - self._pace.elapsed, 0.0)
        validated = self._plan.validated_steps * left / self._plan.seconds
        coming = max(left * steps / seconds - validated, 0.0)
        expected = trainer.global_step + round(coming)
        if trainer.is_global_zero:
            self._listener.say(bought(self._plan, expected))


def validated_steps(recipe: Recipe, validated: Sequence[Rect]) -> float:
    """Return how many steps the validations of a stage take the time of.

    Parameters
    ----------
    recipe : Recipe
    validated : sequence of Rect
        What each validation looks at.
    """
    pixels = sum((rect.height + 2 * MARGIN) * (rect.width + 2 * MARGIN) for rect in validated)
    width, height = recipe.data.sizes[0] if recipe.data.sizes else (recipe.data.patch, recipe.data.patch)
    validations = recipe.training.validations or VALIDATIONS
    return VALIDATED_COST * validations * pixels / (recipe.training.batch_size * width * height)


def bought(plan: StagePlan, expected: int) -> str:
    """Say how many steps the time of a stage buys, and what it would take if they are too few."""
    assert plan.seconds is not None  # a stage of so many steps buys nothing
    minutes = plan.seconds * plan.count / 60
    given = f"{minutes:.3g} minute{'s' * (minutes != 1)}"
    line = f"at this rate, {given} will give about {expected} steps"
    if plan.count > 1:
        line += f" in stage {plan.number} of {plan.count}"
    if plan.enough_steps is None or expected >= plan.enough_steps:
        return line
    needed = minutes_for(plan.enough_steps, minutes, expected)
    return f"{line}; this recipe needs about {plan.enough_steps}, which --minutes {needed} would give"


def minutes_for(steps: int, minutes: float, done: int) -> int:
    """Return the whole minutes that so many steps take, if `done` took `minutes`."""
    return math.ceil(minutes * steps / max(done, 1))


def continuing(command: str, minutes: int) -> str:
    """Return the command that continues a training, up to so many minutes in all.

    Parameters
    ----------
    command : str
        What was typed, or what stands for it in Python.
    minutes : int

    >>> continuing("wsi-seg train a.svs a.geojson --minutes 5 -o out --overwrite", 60)
    'wsi-seg train a.svs a.geojson -o out --resume --minutes 60'
    """
    words = shlex.split(command)
    if words[:2] != ["wsi-seg", "train"]:
        return f"the same call with resume=True, minutes={minutes}"
    kept: list[str] = []
    following = iter(words)
    for word in following:
        if word in ("--overwrite", "--resume"):
            continue
        if word == "--minutes":
            next(following, None)
        elif word == "--set":
            setting = next(following, "")
            kept += [] if _bounds(setting) else [word, setting]
        elif not word.startswith("--minutes=") and not _bounds(word.removeprefix("--set=")):
            kept.append(word)
    return shlex.join([*kept, "--resume", "--minutes", str(minutes)])


def _bounds(setting: str) -> bool:
    """Return whether a setting is the length of the training."""
    return setting.partition("=")[0].strip() in ("training.minutes", "training.epochs")
