"""Errors of PyTorch and the system during a training, in one line."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from wsi_seg.errors import DeviceError, TrainingError, WsiSegError
from wsi_seg.files.files import writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OUT_OF_MEMORY = "can't allocate memory"
"""PyTorch's message if the machine's own memory is full."""


@contextmanager
def in_one_line(device: torch.device, folder: Path) -> Iterator[None]:
    """Turn an error of PyTorch or the system during a training into one line.

    Raises
    ------
    WsiSegError
        In place of the error that a full disk, too little memory or a reading process raises.
    """
    try:
        with writing(folder):
            yield
    except (MemoryError, RuntimeError) as error:  # `torch.OutOfMemoryError` is one
        if "DataLoader worker" in str(error):
            raise TrainingError(
                "a process that reads the data was killed, perhaps because memory was full: continue with "
                "--resume and --set training.workers=0, or a smaller --set data.cache_mb"
            ) from error
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and OUT_OF_MEMORY not in str(error):
            raise
        raise DeviceError(
            f"{device}: out of memory: give a smaller --set training.batch_size or --set data.patch, "
            "and start again with --overwrite"
        ) from error
    except WsiSegError as error:
        message = str(error.args[0])
        if not message.startswith("Caught "):  # not from a reading process, which sends its traceback, too
            raise
        line = message.strip().splitlines()[-1]  # the traceback's last line ends with the error's own message
        own = line.removeprefix(f"{type(error).__module__}.{type(error).__name__}: ")
        raise type(error)(own) from error
