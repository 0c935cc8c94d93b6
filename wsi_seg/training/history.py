"""What happened in a training, row by row; it survives with the checkpoints."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

from wsi_seg.training.report import HistoryRow

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

    from wsi_seg.progress import TrainingProgress
    from wsi_seg.training.pace import Pace
    from wsi_seg.training.stage import StagePlan

ROW_STEPS = 10


class History(Callback):
    """Notes the loss every few steps, and every validation."""

    def __init__(self, pace: Pace, plan: StagePlan, listener: TrainingProgress) -> None:
        self.rows: list[HistoryRow] = []
        self._pace, self._plan, self._listener = pace, plan, listener
        self._loss_sum, self._losses = 0.0, 0
        self._loss: float | None = None
        self._miou: float | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell that it begins."""
        self._listener.begin(self._plan.number, self._plan.count)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Note the loss."""
        self._loss_sum += float(trainer.callback_metrics["train_loss"])
        self._losses += 1
        if trainer.global_step % ROW_STEPS == 0:
            self._note(trainer, None, None)
        self._tell(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note a validation."""
        metrics = trainer.callback_metrics
        self._miou = float(metrics["val_miou"])
        self._note(trainer, float(metrics["val_loss"]), self._miou)
        self._tell(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell that it ends."""
        self._listener.end()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Tell that it ends."""
        self._listener.end()

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"rows": [asdict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.rows = [HistoryRow(**row) for row in state_dict["rows"]]

    def _note(self, trainer: Trainer, val_loss: float | None, val_miou: float | None) -> None:
        self._loss = self._loss_sum / self._losses if self._losses else None
        row = HistoryRow(
            step=trainer.global_step,
            epoch=trainer.global_step // self._plan.epoch_steps,
            seconds=self._pace.elapsed,
            learning_rate=self._pace.learning_rate(trainer.global_step),
            train_loss=self._loss,
            val_loss=val_loss,
            val_miou=val_miou,
        )
        self._loss_sum, self._losses = 0.0, 0
        self.rows.append(row)

    def _tell(self, trainer: Trainer) -> None:
        self._listener.advance(
            self._pace.progress(trainer.global_step), self._pace.elapsed, self._loss, self._miou
        )
