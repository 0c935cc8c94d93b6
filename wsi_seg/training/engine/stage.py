"""One stage of a training, which can be killed and resumed."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader, Subset

from wsi_seg.children import spawning
from wsi_seg.errors import TrainingError
from wsi_seg.process import WhileNeeded, silent
from wsi_seg.training.data.draws import Draw, Numbers
from wsi_seg.training.engine.checkpoints import LastState, SafeCheckpoints, WholeSteps
from wsi_seg.training.engine.history import History
from wsi_seg.training.engine.minutes import Budget
from wsi_seg.training.engine.pace import ENDLESS, Pace
from wsi_seg.training.engine.stage_plan import ENDED, FINAL, LAST, VALIDATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lightning.pytorch import LightningModule
    from torch import Tensor
    from torch.utils.data import Dataset

    from wsi_seg.progress import TrainingProgress
    from wsi_seg.training.data.draws import ImageDraws, PatchDraws
    from wsi_seg.training.engine.module import SegmentationModule
    from wsi_seg.training.engine.stage_plan import StagePlan
    from wsi_seg.training.engine.validation import Images, Tiles
    from wsi_seg.training.recipe import Recipe

BEST = "best.ckpt"


@dataclass(frozen=True)
class StageData:
    """The data of a stage."""

    draws: PatchDraws | ImageDraws
    validation: Tiles | Images
    workers: int


def run_stage(
    module: SegmentationModule, data: StageData, plan: StagePlan, recipe: Recipe, listener: TrainingProgress
) -> History:
    """Train a module; resume from its last checkpoint if there is one.

    Parameters
    ----------
    module : SegmentationModule
        It holds the stage's final weights afterwards: the averaged ones; the best if validations choose.
    data : StageData
    plan : StagePlan
    recipe : Recipe
    listener : TrainingProgress
        Receives the progress.

    Returns
    -------
    History
        The history of the whole stage, including what happened before an interruption.

    Raises
    ------
    TrainingError
        If the loss is no longer a number.
    OutputError
        If a checkpoint cannot be written.
    """
    validations = recipe.training.validations or VALIDATIONS
    pace = Pace(recipe.optimiser, plan.steps, plan.seconds, plan.epoch_steps, validations)
    history = History(pace, plan, listener)
    final = plan.folder / FINAL
    if final.is_file():
        ended = SafeCheckpoints().load_checkpoint(final, map_location="cpu")
        module.load_state_dict(ended["state_dict"])
        history.load_state_dict(ended["history"])
        return history
    with _quiet():
        steps = WholeSteps()
        budget = Budget(plan, pace, listener)
        callbacks = [pace, *_averaging(recipe), steps, history, budget, *_checkpoints(plan, recipe, steps)]
        trainer = _trainer(plan, recipe, callbacks)
        _fit(trainer, module, data, plan, recipe)
    if plan.chooses and (plan.folder / BEST).is_file():
        best = SafeCheckpoints().load_checkpoint(plan.folder / BEST, map_location="cpu")
        module.load_state_dict(best["state_dict"])
    if trainer.is_global_zero:
        ended = {"state_dict": module.state_dict(), "history": history.state_dict()}
        SafeCheckpoints().save_checkpoint(ended, final)
    return history


def _fit(
    trainer: Trainer, module: SegmentationModule, data: StageData, plan: StagePlan, recipe: Recipe
) -> None:
    last = plan.folder / LAST
    resumed = last if last.is_file() else None
    batches = Numbers(
        _steps_done(last) if resumed else 0,
        plan.steps or ENDLESS,
        recipe.training.batch_size,
        trainer.global_rank,
        trainer.world_size,
    )
    shared = range(trainer.global_rank, len(data.validation), trainer.world_size)
    validation = Subset(data.validation, shared if shared else range(len(data.validation)))
    try:
        trainer.fit(
            module,
            _loader(data.draws, plan.device, data.workers, batches),
            _loader(validation, plan.device, batch_size=data.validation.batch_size),
            ckpt_path=resumed,
            weights_only=True,
        )
    except SystemExit as end:  # Lightning turns an interruption into this
        raise KeyboardInterrupt from end
    except RuntimeError as error:
        if trainer.world_size == 1 or isinstance(error, torch.OutOfMemoryError):
            raise
        raise TrainingError(
            f"training in {trainer.world_size} processes stopped ({error}): continue with --resume"
        ) from error


def _trainer(plan: StagePlan, recipe: Recipe, callbacks: list[Callback]) -> Trainer:
    return Trainer(
        accelerator="gpu" if plan.device.type == "cuda" else "cpu",
        devices=_devices(plan.device, recipe.training.devices),
        precision=plan.precision,  # type: ignore[arg-type]
        max_steps=plan.steps or -1,
        max_epochs=-1,
        val_check_interval=plan.validation_steps if plan.seconds is None else ENDLESS,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        gradient_clip_val=recipe.optimiser.clip_norm,
        callbacks=callbacks,
        plugins=[SafeCheckpoints()],
        logger=TensorBoardLogger(plan.logs.parent, name=plan.logs.name, version=""),
        log_every_n_steps=1,  # only `History` logs
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _devices(device: torch.device, count: int) -> list[int] | int:
    return [device.index or 0] if device.type == "cuda" and count == 1 else count


def _averaging(recipe: Recipe) -> list[Callback]:
    """Average the weights over roughly the last ``1 / (1 - decay)`` steps, over fewer at the beginning."""
    decay = recipe.training.averaging
    if decay is None:
        return []

    def average(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        if averaged[0].is_floating_point():
            share = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
            torch._foreach_lerp_(averaged, current, share)
        else:  # the number of updates of a batch normalisation
            torch._foreach_copy_(averaged, current)

    return [_Averaged(multi_avg_fn=average)]


class _Averaged(WeightAveraging):
    """Leaves the averaged weights in the module, also where a stage is resumed after its last step.

    Lightning hands them over when training ends. A training that has no step left does not begin, so it does
    not end either, and the module would keep the weights of its last step.
    """

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hand the averaged weights over, once more if it was done already."""
        self.on_train_end(trainer, pl_module)


def _checkpoints(plan: StagePlan, recipe: Recipe, steps: WholeSteps) -> list[Callback]:
    """Save the last state, and the best one if validations choose."""
    last = LastState(plan.folder / LAST, steps, plan.folder / ENDED if plan.lengthens else None)
    patience = recipe.training.early_stop
    if patience is None or not plan.chooses:
        return [last]
    best = ModelCheckpoint(
        plan.folder,
        filename=BEST.removesuffix(".ckpt"),
        monitor="val_miou",
        mode="max",
        enable_version_counter=False,
    )
    return [EarlyStopping("val_miou", patience=patience, mode="max"), best, last]


def _loader(
    dataset: Dataset[Draw],
    device: torch.device,
    workers: int = 0,
    batches: Numbers | None = None,
    batch_size: int = 1,
) -> DataLoader[Draw]:
    return DataLoader(
        dataset,
        batch_sampler=batches,
        batch_size=batch_size,
        num_workers=workers,
        # Each process opens the slides itself; a fork would share their handles.
        multiprocessing_context=spawning() if workers else None,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )


def _steps_done(checkpoint: Path) -> int:
    return int(SafeCheckpoints().load_checkpoint(checkpoint, map_location="cpu")["global_step"])


@contextmanager
def _without_advice() -> Iterator[None]:
    """Hide Lightning's messages, and its advice against our deliberate choices, from the user."""
    with silent("lightning", level=logging.ERROR), warnings.catch_warnings():
        for advice in (
            ".*does not have many workers.*",
            ".*Checkpoint directory .* exists and is not empty.*",
            ".*your dataloader is not resumable.*",
            ".*LeafSpec.*",
        ):
            warnings.filterwarnings("ignore", advice)
        yield


_quiet = WhileNeeded(_without_advice)
