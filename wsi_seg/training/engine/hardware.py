"""What a training can expect of the machine."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import torch

from wsi_seg.errors import DeviceError, UsageError

if TYPE_CHECKING:
    from wsi_seg.training.recipe import Recipe

MOST_WORKERS = 8

MEGAPIXELS_A_MINUTE = {"cpu": 80.0, "cuda": 800.0}
"""About how much the network of `quick` sees: two cores take 160 steps of eight patches of 256 px, a GPU ten
times as many. There is one number for all CPUs and one for all GPUs, so that the same command gives the same
training on each."""


def check_device(device: torch.device, recipe: Recipe) -> None:
    """Refuse settings that a device does not support.

    Raises
    ------
    UsageError, DeviceError
        If it does not compute in the precision asked for, or if there are too few GPUs.
    """
    training = recipe.training
    if device.type == "cpu" and training.precision == "float16":
        raise UsageError("training.precision=float16 needs a GPU: use float32, bfloat16 or auto")
    if device.type == "cuda" and training.devices > torch.cuda.device_count():
        raise DeviceError(
            f"training.devices={training.devices}: this machine's number of GPUs is "
            f"{torch.cuda.device_count()}: ask for fewer"
        )


def precision(recipe: Recipe, device: torch.device) -> str:
    """Return the precision to compute in; "auto" is bfloat16 where there is hardware for it."""
    if recipe.training.precision != "auto":
        return recipe.training.precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if torch.cpu.get_capabilities().get("amx_bf16") else "float32"


def megapixels(recipe: Recipe, device: torch.device) -> float:
    """Return roughly how many megapixels a training sees in its minutes; infinite if it ends by epochs."""
    minutes = recipe.training.minutes
    return math.inf if minutes is None else minutes * MEGAPIXELS_A_MINUTE[device.type]


def workers(recipe: Recipe, device: torch.device) -> int:
    """Return the number of reading processes: none on a CPU, where the network needs all cores."""
    if recipe.training.workers is not None:
        return recipe.training.workers
    return 0 if device.type == "cpu" else min(MOST_WORKERS, max((os.cpu_count() or 1) - 1, 1))
