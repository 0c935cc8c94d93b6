"""What the machine can do for a training."""

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
"""What the network of `quick` learns from, about: two cores take 160 steps of eight patches of 256 px, and a
GPU ten times as many. One number for all CPUs and one for all GPUs, so that the same command means the same
training on each."""


def check_device(device: torch.device, recipe: Recipe) -> None:
    """Refuse what a device cannot do.

    Raises
    ------
    UsageError, DeviceError
        If it does not compute in the precision that is asked for, or there are too few of its kind.
    """
    training = recipe.training
    if device.type == "cpu" and training.precision == "float16":
        raise UsageError("training.precision=float16 needs a GPU: use float32, bfloat16 or auto")
    if device.type == "cuda" and training.devices > torch.cuda.device_count():
        raise DeviceError(
            f"training.devices={training.devices}: here are {torch.cuda.device_count()} GPUs: ask for fewer"
        )


def precision(recipe: Recipe, device: torch.device) -> str:
    """Return the precision to compute in; "auto" is bfloat16 where there is hardware for it."""
    if recipe.training.precision != "auto":
        return recipe.training.precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if torch.cpu.get_capabilities().get("amx_bf16") else "float32"


def megapixels(recipe: Recipe, device: torch.device) -> float:
    """Return about how many megapixels a training sees in its minutes; infinite if epochs bound it."""
    minutes = recipe.training.minutes
    return math.inf if minutes is None else minutes * MEGAPIXELS_A_MINUTE[device.type]


def workers(recipe: Recipe, device: torch.device) -> int:
    """Return how many processes read: on a CPU none, as the network needs all cores and the cache helps."""
    if recipe.training.workers is not None:
        return recipe.training.workers
    return 0 if device.type == "cpu" else min(MOST_WORKERS, max((os.cpu_count() or 1) - 1, 1))
