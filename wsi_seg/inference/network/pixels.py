"""Pixels before a network and after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from wsi_seg.models.bundle import InputSpec

FEWEST = 4
"""Channels that PyTorch's interpolation must have for its results not to depend on the number of threads."""


class Normalisation:
    """Pixel values 0 to 255 to what the network was trained on: one multiplication and one addition."""

    def __init__(self, spec: InputSpec, device: torch.device) -> None:
        std = torch.tensor(spec.std, dtype=torch.float64) * spec.scale
        mean = torch.tensor(spec.mean, dtype=torch.float64)
        self._factor = (1 / std).float().to(device)[None, :, None, None]
        self._shift = (-mean / std).float().to(device)[None, :, None, None]
        self._flip = spec.channels == "bgr"

    def __call__(self, pixels: Tensor) -> Tensor:
        """Normalise RGB pixels, shape (N, 3, height, width), of any type; they stay as they are."""
        if self._flip:
            pixels = pixels.flip(1)
        values = pixels.to(torch.float32, copy=True).mul_(self._factor).add_(self._shift)
        return values.contiguous(memory_format=torch.channels_last)


def enlarge(maps: Tensor, factor: int) -> Tensor:
    """Enlarge maps bilinearly (pixel centres apart, edges repeated), the same to the bit for any threads.

    PyTorch rounds differently with another number of CPU threads, but not four or more channels that lie
    side by side for each pixel.

    Parameters
    ----------
    maps : Tensor
        Float, (N, channels, height, width).
    factor : int

    Returns
    -------
    Tensor
        (N, channels, height * factor, width * factor).
    """
    channels = maps.shape[1]
    if channels < FEWEST:
        maps = functional.pad(maps, (0, 0, 0, 0, 0, FEWEST - channels))
    maps = maps.contiguous(memory_format=torch.channels_last)
    size = (maps.shape[2] * factor, maps.shape[3] * factor)
    return functional.interpolate(maps, size, mode="bilinear", align_corners=False)[:, :channels]


def cropped(maps: Tensor, margin: int) -> Tensor:
    """Leave pixels out on every side of (..., height, width) maps."""
    return maps[..., margin : maps.shape[-2] - margin, margin : maps.shape[-1] - margin]


def best_channel(logits: Tensor, stride: int, margin: int) -> Tensor:
    """Choose the channel of the largest logit at full size.

    Parameters
    ----------
    logits : Tensor
        (N, channels, height / stride, width / stride).
    stride : int
    margin : int
        Pixels on every side that are left out.

    Returns
    -------
    Tensor
        uint8, (N, height - 2 * margin, width - 2 * margin).
    """
    if stride > 1:
        logits = enlarge(logits, stride)
    # On a CPU, `argmax` takes eight times as long where channels lie plane by plane.
    return cropped(logits, margin).max(dim=1).indices.to(torch.uint8)
