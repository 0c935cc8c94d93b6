"""Checkpoints that are whole or absent, and are never unpickled."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO

from wsi_seg.errors import ModelError
from wsi_seg.files import replacing

if TYPE_CHECKING:
    from lightning.fabric.utilities.types import _PATH


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
            content: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
        except Exception as error:  # torch.load raises whatever a damaged file makes happen
            raise ModelError(
                f"{path}: damaged checkpoint: start the training anew with --overwrite"
            ) from error
        return content

    def remove_checkpoint(self, path: _PATH) -> None:
        """Remove a checkpoint, if it is there."""
        Path(path).unlink(missing_ok=True)
