"""Pixels before a network and after it: normalised, enlarged, and their classes decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from wsi_seg.models.bundle import InputSpec

FEWEST = 4
"""Channels that PyTorch's interpolation must have for its results not to depend on the number of threads."""

STRIP_VALUES = 2**24
"""Logits that `best_channel_at` holds at full size at a time."""


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


def decide(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Decide each pixel's class: the channel of its largest logit, of equal ones the first.

    Whatever turns logits into classes calls this, but for the compiled kernels, which do the same without
    writing logits down (`wsi_seg_double_argmax` in ``fast/kernels.cpp``).

    Parameters
    ----------
    logits : Tensor
        Float, (N, channels, height, width); up to 256 channels.

    Returns
    -------
    channels : Tensor
        uint8, (N, height, width).
    largest : Tensor
        The logit itself, float, (N, height, width).
    """
    # On a CPU, `argmax` takes eight times as long where channels lie plane by plane.
    largest, channels = logits.max(dim=1)
    return channels.to(torch.uint8), largest


def best_channel(logits: Tensor, stride: int, margin: int) -> Tensor:
    """Decide each pixel's class at full size.

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
    return decide(cropped(logits, margin))[0]


@torch.inference_mode()
def best_channel_at(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Decide each pixel's class at any size, to which logits are enlarged bilinearly.

    Rows are enlarged strip by strip: logits at the full size of an image would not fit in memory.

    Parameters
    ----------
    logits : Tensor
        (channels, h, w) of one image.
    size : (int, int)
        Width and height.

    Returns
    -------
    Tensor
        uint8, (height, width), on the CPU.
    """
    width, height = size
    channels, rows, _ = logits.shape
    wide = functional.interpolate(logits[None], size=(rows, width), mode="bilinear", align_corners=False)[0]
    best = torch.empty((height, width), dtype=torch.uint8)
    strip = max(1, STRIP_VALUES // (channels * width))
    for start in range(0, height, strip):
        stop = min(start + strip, height)
        centres = torch.arange(start, stop, dtype=torch.float64, device=logits.device) + 0.5
        y = (centres * (rows / height) - 0.5).clamp(0, rows - 1)
        above = y.floor().long()
        below = (above + 1).clamp(max=rows - 1)
        weight = (y - above).float()[None, :, None]
        values = torch.lerp(wide[:, above], wide[:, below], weight)
        best[start:stop] = decide(values[None])[0][0].cpu()
    return best
