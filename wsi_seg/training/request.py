"""The request for a training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.training.data.open_data import DataRequest
    from wsi_seg.training.recipe import Recipe


@dataclass(frozen=True)
class TrainRequest:
    """A training as the user asks for it.

    Attributes
    ----------
    data : DataRequest
    recipe : Recipe
    out : Path or str
        Folder for the model, the report and what is needed to resume.
    init : str or None
        Model to start from, and to take the working resolution from; None leaves it to the recipe.
    given : ModelBundle or None
        Model whose network was given in Python. That network is trained, and the recipe's `init` is ignored.
    device : str
    resume, overwrite : bool
        Resume the unfinished training in `out`; or delete an earlier training there.
    command : str
        The command line.
    """

    data: DataRequest
    recipe: Recipe
    out: Path | str
    init: str | None = None
    given: ModelBundle | None = None
    device: str = "auto"
    resume: bool = False
    overwrite: bool = False
    command: str = ""

    @property
    def folder(self) -> Path:
        """What `out` names."""
        return Path(self.out)
