"""The plan of a stage of a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import torch

VALIDATIONS = 10
"""Number of validations in a stage with a time limit, if the recipe gives none."""

LAST, FINAL = "last.ckpt", "final.ckpt"
"""The state that a stage resumes from, and the weights that it ended with."""

ENDED = "ended.ckpt"
"""The state at the end of a stage with a time limit, to continue from with more time."""


@dataclass(frozen=True)
class StagePlan:
    """The plan of a stage.

    Attributes
    ----------
    number, count : int
        Number of this stage, from 1, and of all stages.
    steps : int or None
        Steps of the stage; None if it ends by its time.
    seconds : float or None
        Time of the stage.
    epoch_steps : int
        Steps of an epoch.
    validation_steps : int
        Steps between validations, if `steps` are given.
    folder, logs : Path
        Folders for checkpoints and for logs.
    device : torch.device
    precision : str
        As Lightning calls it.
    validated : str
        What it is validated on, in words.
    chooses : bool
        Whether validations choose: the stage may stop early, and the best weights are kept.
    enough_steps : int or None
        Steps that the recipe needs, if that is known.
    validated_steps : float
        Time of all its validations, in steps.
    """

    number: int
    count: int
    steps: int | None
    seconds: float | None
    epoch_steps: int
    validation_steps: int
    folder: Path
    logs: Path
    device: torch.device
    precision: str
    validated: str
    chooses: bool = False
    enough_steps: int | None = None
    validated_steps: float = 0.0

    @property
    def lengthens(self) -> bool:
        """Whether the stage can be resumed with more time after its end."""
        return self.seconds is not None and self.count == 1
