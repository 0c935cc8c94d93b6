"""What a stage of a training is to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import torch


@dataclass(frozen=True)
class StagePlan:
    """What a stage is to do.

    Attributes
    ----------
    number, count : int
        Which stage of how many, from 1.
    steps : int or None
        Steps of the stage; None if its time ends it.
    seconds : float or None
        Time of the stage.
    epoch_steps : int
        Steps of an epoch.
    validation_steps : int
        Steps between validations, if there are `steps`.
    folder, logs : Path
        For checkpoints, and for logs.
    device : torch.device
    precision : str
        As Lightning calls it.
    validated : str
        What its validations are of, in words.
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
