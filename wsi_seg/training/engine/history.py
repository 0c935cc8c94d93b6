"""The history of a training, row by row; it is part of the checkpoints, and is logged at once."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

from wsi_seg.errors import TrainingError
from wsi_seg.files.csvlines import csv_line
from wsi_seg.files.document import Document
from wsi_seg.files.files import writing
from wsi_seg.training.report.contents import HistoryRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lightning.pytorch import LightningModule, Trainer
    from torch import Tensor

    from wsi_seg.progress import TrainingProgress
    from wsi_seg.training.engine.pace import Pace
    from wsi_seg.training.engine.stage_plan import StagePlan

ROW_STEPS = 10
CSV = "history.csv"


class HistoryState(Document):
    """The part of a history that a checkpoint holds.

    Attributes
    ----------
    rows : list of HistoryRow
    losses : list of float
        Losses of the steps since the last row.
    last : (float or None, float or None)
        Loss and mean IoU of the last validation.
    """

    rows: list[HistoryRow]
    losses: list[float]
    last: tuple[float | None, float | None]


class History(Callback):
    """Records the loss every few steps, and every validation.

    The loss is read only when it is recorded, so that a GPU need not wait after each step.
    """

    def __init__(self, pace: Pace, plan: StagePlan, listener: TrainingProgress) -> None:
        self.rows: list[HistoryRow] = []
        self._pace, self._plan, self._listener = pace, plan, listener
        self._losses: list[Tensor | float] = []
        self._loss: float | None = None
        self._miou: float | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell that it begins."""
        self._listener.begin(self._plan.number, self._plan.count, self._plan.validated)
        if trainer.is_global_zero:
            self._write(self.rows, anew=True)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: object, batch_idx: int
    ) -> None:
        """Note the loss."""
        self._losses.append(outputs["loss"].detach())
        if trainer.global_step % ROW_STEPS == 0:
            self._note(trainer)
        self._tell(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note a validation."""
        metrics = trainer.callback_metrics
        self._miou = float(metrics["val_miou"])
        diagnosis = metrics.get("val_diagnosis")
        self._note(trainer, float(metrics["val_loss"]), self._miou, diagnosis)
        self._tell(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell that it ends."""
        self._listener.end()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Tell that it ends."""
        self._listener.end()

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        losses = [float(loss) for loss in self._losses]
        return HistoryState(rows=self.rows, losses=losses, last=(self._loss, self._miou)).model_dump()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from a checkpoint.

        Raises
        ------
        DocumentError
            If it has no history, or one of a newer wsi-seg.
        """
        state = HistoryState.of(state_dict, self._plan.folder, "start the training again with --overwrite")
        self.rows, self._losses = state.rows, [*state.losses]
        self._loss, self._miou = state.last

    def _note(
        self,
        trainer: Trainer,
        val_loss: float | None = None,
        val_miou: float | None = None,
        val_diagnosis: Tensor | None = None,
    ) -> None:
        losses = [float(loss) for loss in self._losses]
        self._losses = []
        train_loss = sum(losses) / len(losses) if losses else None
        if train_loss is not None and not math.isfinite(train_loss):
            rate = self._pace.highest_rate / 4
            raise TrainingError(
                f"the loss is {train_loss} by step {trainer.global_step}: start again with --overwrite and a "
                f"lower rate, --set optimiser.learning_rate={rate:g}"
            )
        self._loss = self._loss if train_loss is None else train_loss
        row = HistoryRow(
            step=trainer.global_step,
            epoch=trainer.global_step // self._plan.epoch_steps,
            seconds=self._pace.elapsed,
            learning_rate=self._pace.learning_rate(max(trainer.global_step - 1, 0)),  # that it was taken at
            train_loss=train_loss,
            val_loss=val_loss,
            val_miou=val_miou,
            val_diagnosis=None if val_diagnosis is None else float(val_diagnosis),
            stage=self._plan.number,
        )
        self.rows.append(row)
        if trainer.is_global_zero:
            known = {name: value for name, value in asdict(row).items() if value is not None}
            for logger in trainer.loggers:
                logger.log_metrics(known, row.step)
            self._write([row])

    def _write(self, rows: Iterable[HistoryRow], anew: bool = False) -> None:
        """Write rows to the CSV, after those that are there or in their place."""
        path = self._plan.logs / CSV
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w" if anew else "a", newline="", encoding="utf-8") as file:
                if anew:
                    file.write(csv_line(field.name for field in fields(HistoryRow)))
                file.writelines(csv_line(asdict(row).values()) for row in rows)

    def _tell(self, trainer: Trainer) -> None:
        self._listener.advance(
            self._pace.progress(trainer.global_step), self._pace.elapsed, self._loss, self._miou
        )
