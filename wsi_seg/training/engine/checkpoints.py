"""Checkpoints: written completely or not at all, never unpickled, and saved where a training can resume."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from lightning.pytorch.callbacks import Callback, Checkpoint

from wsi_seg.errors import ModelError, TrainingError
from wsi_seg.files.files import replacing
from wsi_seg.training.engine.copying import copy_all
from wsi_seg.training.engine.stage_plan import ENDED, LAST

if TYPE_CHECKING:
    from lightning.fabric.utilities.types import _PATH
    from lightning.pytorch import LightningModule, Trainer
    from torch import Tensor
    from torch.optim import Optimizer

CHECKPOINT_SECONDS = 30

CHOOSING = ("EarlyStopping", "ModelCheckpoint")
"""What compares validations, by the names that Lightning has for them in a checkpoint."""


class SafeCheckpoints(CheckpointIO):
    """Writes a checkpoint in one step, and reads tensors and plain values only."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with replacing(Path(path)) as partial:
            partial.write_bytes(content.getbuffer())

    def load_checkpoint(
        self, path: _PATH, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint.

        Raises
        ------
        ModelError
            If it is missing, damaged, or holds anything but tensors and plain values.
        """
        try:
            with zipfile.ZipFile(path) as archive:  # torch.load does not look at the checksums
                if wrong := archive.testzip():
                    raise zipfile.BadZipFile(wrong)
            content: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
        except Exception as error:  # a damaged file may raise anything
            raise ModelError(
                f"{path}: damaged checkpoint: start the training again with --overwrite"
            ) from error
        return content

    def remove_checkpoint(self, path: _PATH) -> None:
        """Remove a checkpoint, if it is there."""
        Path(path).unlink(missing_ok=True)


class WholeSteps(Callback):
    """Undoes an interrupted step. It must come after the callbacks that are part of a step."""

    def __init__(self) -> None:
        self._buffers: list[Tensor] = []
        self._begun = self._changing_weights = False

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Copy what a step changes before the weights: the statistics of batch normalisation."""
        if not self._buffers:
            self._buffers = [torch.empty_like(buffer) for buffer in pl_module.buffers()]
        copy_all(pl_module.buffers(), self._buffers)
        self._begun = True

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Note that the weights are changing: until the end of the step it cannot be undone."""
        self._changing_weights = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Note that the step is complete."""
        self._begun = self._changing_weights = False

    def undo(self, pl_module: LightningModule) -> bool:
        """Undo an interrupted step; return whether the module is now as after a complete step."""
        if self._changing_weights:
            return False
        if self._begun:
            copy_all(self._buffers, pl_module.buffers())
        return True


class LastState(Checkpoint):
    """Saves the last state: every half minute, and after an error.

    It is never saved while a validation is due or running: Lightning would resume after that validation, and
    during it the network holds the averaged weights in place of its own.

    Parameters
    ----------
    path : Path
    steps : WholeSteps
        Undoes an interrupted step.
    ended : Path or None
        File for the state at the end of the stage, to continue from with more time; None keeps none.
    """

    def __init__(self, path: Path, steps: WholeSteps, ended: Path | None = None) -> None:
        self._path, self._steps, self._ended = path, steps, ended
        self._saved = time.monotonic()
        self._validated = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Save if it is time and no validation is due."""
        if not self._owes_validation(trainer):
            self._save_in_time(trainer)
            self._save_at_end(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save if it is time."""
        self._validated = trainer.global_step
        self._save_in_time(trainer)
        self._save_at_end(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save what has been learned, unless the error is in the training itself."""
        if isinstance(exception, TrainingError) or trainer.world_size > 1:  # the others have no error
            return
        if trainer.validating or self._owes_validation(trainer):
            return
        if trainer.global_step and self._steps.undo(pl_module):
            trainer.save_checkpoint(self._path)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Count complete steps only, even if one was interrupted."""
        done = trainer.global_step
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for counts in (progress["total"], progress["current"]):
            counts.update(ready=done, started=done, processed=done, completed=done - 1)

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"validated": self._validated}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self._validated = int(state_dict["validated"])

    def _save_at_end(self, trainer: Trainer) -> None:
        """Save where the stage ends: after its last step and validation."""
        if self._ended is not None and trainer.should_stop:
            trainer.save_checkpoint(self._ended)

    def _owes_validation(self, trainer: Trainer) -> bool:
        step, every = trainer.global_step, trainer.val_check_batch
        return isinstance(every, int) and step % every == 0 and step != self._validated

    def _save_in_time(self, trainer: Trainer) -> None:
        if trainer.strategy.broadcast(time.monotonic() - self._saved >= CHECKPOINT_SECONDS):
            trainer.save_checkpoint(self._path)
            self._saved = time.monotonic()


def lengthened(stage: Path) -> None:
    """Prepare a stage for more time, whether it has ended or was interrupted.

    Validations of a longer training look at more of what is kept out. So which was the best begins anew.

    Raises
    ------
    ModelError
        If the state is damaged.
    OutputError
        If it cannot be written.
    """
    files, last = SafeCheckpoints(), stage / LAST
    state = files.load_checkpoint(stage / ENDED if (stage / ENDED).exists() else last, map_location="cpu")
    callbacks = state["callbacks"]
    state["callbacks"] = {name: kept for name, kept in callbacks.items() if not name.startswith(CHOOSING)}
    files.save_checkpoint(state, last)
    for path in stage.glob("*.ckpt"):
        if path != last:
            files.remove_checkpoint(path)
