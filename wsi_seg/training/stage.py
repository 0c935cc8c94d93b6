"""One stage of a training, which can be killed and resumed."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader

from wsi_seg.training.checkpoints import SafeCheckpoints
from wsi_seg.training.draws import Draw, Numbers
from wsi_seg.training.history import History
from wsi_seg.training.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor
    from torch.utils.data import Dataset

    from wsi_seg.progress import TrainingProgress
    from wsi_seg.training.module import SegmentationModule
    from wsi_seg.training.recipe import Recipe

CHECKPOINT_SECONDS = 30
LAST = "last.ckpt"
BEST = "best.ckpt"
ENDLESS = 1 << 40
"""Steps of a stage that its time ends."""

VALIDATION_BATCH = 4


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
        Steps between validations, if there are `steps`; what an epoch is in any case.
    folder : Path
        For checkpoints and logs.
    device : torch.device
    precision : str
        As Lightning calls it.
    """

    number: int
    count: int
    steps: int | None
    seconds: float | None
    epoch_steps: int
    folder: Path
    device: torch.device
    precision: str


@dataclass(frozen=True)
class StageData:
    """What a stage draws from."""

    draws: Dataset[Draw]
    validation: Dataset[Draw]
    workers: int


def run_stage(
    module: SegmentationModule, data: StageData, plan: StagePlan, recipe: Recipe, listener: TrainingProgress
) -> History:
    """Train a module, going on from its last checkpoint if there is one.

    Parameters
    ----------
    module : SegmentationModule
        Holds the stage's final weights afterwards: the averaged ones, and the best if it stopped early.
    data : StageData
    plan : StagePlan
    recipe : Recipe
    listener : TrainingProgress
        Hears how it goes.

    Returns
    -------
    History
        Of the whole stage, what was before an interruption too.

    Raises
    ------
    TrainingError
        If the loss is not a number any more.
    OutputError
        If a checkpoint cannot be written.
    """
    pace = Pace(recipe.optimiser, plan.steps, plan.seconds, plan.epoch_steps)
    history = History(pace, plan, listener)
    last = plan.folder / LAST
    resumed = last if last.is_file() else None
    first = _steps_done(last) if resumed else 0
    with _quiet():
        trainer = _trainer(plan, recipe, [pace, *_averaging(recipe), history, *_checkpoints(plan, recipe)])
        batches = Numbers(
            first,
            plan.steps or ENDLESS,
            recipe.training.batch_size,
            trainer.global_rank,
            trainer.world_size,
        )
        trainer.fit(
            module,
            _loader(data.draws, data.workers, plan.device, batches),
            _loader(data.validation, 0, plan.device),
            ckpt_path=resumed,
            weights_only=True,
        )
        best = plan.folder / BEST
        if recipe.training.early_stop is not None and best.is_file():
            state = torch.load(best, map_location="cpu", weights_only=True)["state_dict"]
            module.load_state_dict(state)
    return history


def _trainer(plan: StagePlan, recipe: Recipe, callbacks: list[Callback]) -> Trainer:
    interval: int | timedelta = plan.epoch_steps
    if plan.seconds is not None:
        interval = timedelta(seconds=plan.seconds / (recipe.training.validations + 0.5))
    gpu = plan.device.type == "cuda"
    return Trainer(
        accelerator="gpu" if gpu else "cpu",
        devices=_devices(plan.device, recipe.training.devices) if gpu else 1,
        precision=plan.precision,  # type: ignore[arg-type]
        max_steps=plan.steps or -1,
        max_epochs=-1,
        val_check_interval=interval,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        gradient_clip_val=recipe.optimiser.clip_norm,
        callbacks=callbacks,
        plugins=[SafeCheckpoints()],
        logger=[
            CSVLogger(plan.folder, name="csv"),
            TensorBoardLogger(plan.folder, name="tensorboard", version="run"),
        ],
        log_every_n_steps=10,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _devices(device: torch.device, count: int) -> list[int] | int:
    return count if count > 1 else [device.index or 0]


def _averaging(recipe: Recipe) -> list[Callback]:
    """Average the weights over about the last ``1 / (1 - decay)`` steps, over fewer in the beginning."""
    decay = recipe.training.averaging
    if decay is None:
        return []

    def average(averaged: Tensor, current: Tensor, count: int | Tensor) -> Tensor:
        if not averaged.is_floating_point():  # how often a batch normalisation was updated
            return current
        return torch.lerp(averaged, current, 1 - min(decay, (1 + int(count)) / (10 + int(count))))

    return [WeightAveraging(avg_fn=average)]


def _checkpoints(plan: StagePlan, recipe: Recipe) -> list[Callback]:
    """Keep the last state every half minute, and the best if the stage may stop early."""
    kept: list[Callback] = [
        ModelCheckpoint(
            plan.folder,
            filename=LAST.removesuffix(".ckpt"),
            train_time_interval=timedelta(seconds=CHECKPOINT_SECONDS),
            enable_version_counter=False,
            save_on_exception=True,
        )
    ]
    if recipe.training.early_stop is not None:
        kept += [
            EarlyStopping("val_miou", patience=recipe.training.early_stop, mode="max"),
            ModelCheckpoint(
                plan.folder,
                filename=BEST.removesuffix(".ckpt"),
                monitor="val_miou",
                mode="max",
                enable_version_counter=False,
            ),
        ]
    return kept


def _loader(
    dataset: Dataset[Draw], workers: int, device: torch.device, batches: Numbers | None = None
) -> DataLoader[Draw]:
    return DataLoader(
        dataset,
        batch_sampler=batches,
        batch_size=1 if batches else VALIDATION_BATCH,
        num_workers=workers,
        # Slides are opened in each process; a fork would share their handles.
        multiprocessing_context="spawn" if workers else None,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )


def _steps_done(checkpoint: Path) -> int:
    return int(SafeCheckpoints().load_checkpoint(checkpoint, map_location="cpu")["global_step"])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's talk, and its advice on what is as it is on purpose, from the user."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for advice in (
                ".*does not have many workers.*",
                ".*Checkpoint directory .* exists and is not empty.*",
                ".*LeafSpec.*",
            ):
                warnings.filterwarnings("ignore", advice)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
