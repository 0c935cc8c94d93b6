"""A stage: validations choose and stop it early only where they can tell."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pytest
import torch
from helpers.trainings import tiny_recipe
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from wsi_seg.training.engine.checkpoints import LastState, WholeSteps
from wsi_seg.training.engine.stage import _checkpoints, _quiet
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


def test_trainings_that_end_out_of_order_leave_loggers_and_filters_as_they_were() -> None:
    lightning = logging.getLogger("lightning.pytorch")
    before = (lightning.level, list(warnings.filters))
    first, second = _quiet(), _quiet()
    first.__enter__()
    second.__enter__()
    assert not lightning.isEnabledFor(logging.WARNING)
    first.__exit__(None, None, None)
    assert not lightning.isEnabledFor(logging.WARNING)
    second.__exit__(None, None, None)
    assert (lightning.level, list(warnings.filters)) == before
