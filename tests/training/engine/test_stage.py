"""A stage: validations choose and stop it early only where they can tell."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.trainings import tiny_recipe
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from wsi_seg.training.engine.checkpoints import LastState, WholeSteps
from wsi_seg.training.engine.stage import _checkpoints
from wsi_seg.training.engine.stage_plan import StagePlan


@pytest.mark.parametrize(
    ("chooses", "early_stop", "kinds"),
    [
        (True, "2", {EarlyStopping, ModelCheckpoint, LastState}),
        (False, "2", {LastState}),
        (True, "null", {LastState}),
    ],
)
def test_the_best_is_kept_only_where_validations_can_tell(
    chooses: bool, early_stop: str, kinds: set[type], tmp_path: Path
) -> None:
    plan = StagePlan(
        number=1,
        count=1,
        steps=10,
        seconds=None,
        epoch_steps=5,
        validation_steps=5,
        folder=tmp_path,
        logs=tmp_path,
        device=torch.device("cpu"),
        precision="32-true",
        validated="8 tiles kept out",
        chooses=chooses,
    )
    recipe = tiny_recipe(f"training.early_stop={early_stop}")
    assert {type(each) for each in _checkpoints(plan, recipe, WholeSteps())} == kinds
