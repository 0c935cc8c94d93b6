"""The plan of a stage of a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import torch


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
