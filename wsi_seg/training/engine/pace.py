"""The progress of a stage, by its steps or by its time, and the learning rate that depends on it."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

    from wsi_seg.training.recipe import OptimiserRecipe

ENDLESS = 1 << 40
"""Number of steps in a stage that ends by its time."""


class Pace(Callback):
    """Sets the learning rate before each step; in a stage with a time limit, validates and ends in time.

    If there are several processes, all use the clock of the first.

    Parameters
    ----------
    recipe : OptimiserRecipe
    steps : int or None
        Steps of the stage.
    seconds : float or None
        Time of the stage, including validations. One of `steps` and `seconds` is given.
    epoch_steps : int
    validations : int
        Number of validations in a stage with a time limit; the last one is at its end.
    """

    def __init__(
        self,
        recipe: OptimiserRecipe,
        steps: int | None,
        seconds: float | None,
        epoch_steps: int,
        validations: int = 1,
    ) -> None:
        self._recipe, self._steps, self._seconds, self._epoch_steps = recipe, steps, seconds, epoch_steps
        self._validations, self._validated = validations, 0
        self._earlier = 0.0
        self._start: float | None = None

    @property
    def highest_rate(self) -> float:
        """The learning rate at the beginning of the schedule."""
        return self._recipe.learning_rate

    @property
    def elapsed(self) -> float:
        """Seconds that this stage has taken, including those before a resume."""
        return self._earlier + (0 if self._start is None else time.monotonic() - self._start)

    def progress(self, step: int) -> float:
        """Return the part of the stage that is done after `step` steps, from 0 to 1."""
        by_time = 0.0 if self._seconds is None else self.elapsed / self._seconds
        by_steps = 0.0 if self._steps is None else step / self._steps
        return min(max(by_time, by_steps), 1.0)

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of the step after `step` steps."""
        r = self._recipe
        warmup = min(1.0, (step + 1) / (r.warmup_steps + 1))
        if r.schedule == "step":
            decay = r.step_factor ** (step // self._epoch_steps // r.step_epochs)
        else:
            decay = 0.5 * (1 + math.cos(math.pi * self.progress(step)))
        return r.learning_rate * warmup * decay

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = time.monotonic()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Set the learning rate."""
        rate = self.learning_rate(trainer.global_step)
        if self._seconds is not None:
            rate = trainer.strategy.broadcast(rate)
        for optimiser in trainer.optimizers:
            for group in optimiser.param_groups:
                group["lr"] = rate

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """End a stage when its time is over, and validate at regular times before."""
        if self._seconds is None:
            return
        over, passed = trainer.strategy.broadcast(
            (self.elapsed >= self._seconds, int(self.elapsed * self._validations / self._seconds))
        )
        # Lightning validates where the number of steps is a multiple of this.
        trainer.val_check_batch = trainer.global_step if passed > self._validated else ENDLESS
        self._validated = passed
        trainer.should_stop = trainer.should_stop or over

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"elapsed": self.elapsed, "validated": self._validated}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from a checkpoint; the stage may have more time than it had then."""
        self._earlier, self._validated = float(state_dict["elapsed"]), int(state_dict["validated"])
        if self._seconds is not None:
            self._validated = min(self._validated, int(self._earlier * self._validations / self._seconds))
