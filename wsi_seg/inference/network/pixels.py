"""Pixels before and after a network: normalise them, enlarge logits, and decide classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from wsi_seg.models.header import InputSpec

FEWEST = 4
"""With this many channels or more, PyTorch's interpolation does not depend on the number of threads."""

STRIP_VALUES = 2**24
"""Number of logits at full size that `best_channel_at` holds at a time."""


class Normalisation:
    """Normalise pixel values of 0 to 255 as in training, by one multiplication and one addition."""

    def __init__(self, spec: InputSpec, device: torch.device) -> None:
        std = torch.tensor(spec.std, dtype=torch.float64) * spec.scale
        mean = torch.tensor(spec.mean, dtype=torch.float64)
        self._factor = (1 / std).float().to(device)[None, :, None, None]
        self._shift = (-mean / std).float().to(device)[None, :, None, None]
        self._flip = spec.channels == "bgr"

    def __call__(self, pixels: Tensor) -> Tensor:
        """Normalise RGB pixels, shape (N, 3, height, width), of any type; the input stays unchanged."""
        if self._flip:
            pixels = pixels.flip(1)
        values = pixels.to(torch.float32, copy=True).mul_(self._factor).add_(self._shift)
        return values.contiguous(memory_format=torch.channels_last)


def enlarge(maps: Tensor, factor: int) -> Tensor:
    """Enlarge maps bilinearly (half-pixel centres, edges repeated), bit for bit the same for any threads.

    PyTorch's rounding depends on the number of CPU threads, except with four or more channels in the
    channels-last layout.

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
    """Crop (..., height, width) maps by a margin on every side."""
    return maps[..., margin : maps.shape[-2] - margin, margin : maps.shape[-1] - margin]


def decide(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Decide each pixel's class: the channel of its largest logit; the first of equal ones.

    All code that turns logits into classes calls this function, except the compiled kernels, which do the
    same without storing logits (`decide` in ``inference/fast/layers/double.cpp``).

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
    # On a CPU, `argmax` takes eight times as long in the channels-first layout.
    largest, channels = logits.max(dim=1)
    return channels.to(torch.uint8), largest


def at_full_size(logits: Tensor, stride: int) -> Tensor:
    """Enlarge logits, (N, channels, height / stride, width / stride), to the size of the image."""
    return enlarge(logits, stride) if stride > 1 else logits


def best_channel(logits: Tensor, stride: int, margin: int) -> Tensor:
    """Decide each pixel's class at full size.

    Parameters
    ----------
    logits : Tensor
        (N, channels, height / stride, width / stride).
    stride : int
    margin : int
        Width of the border that is left out.

    Returns
    -------
    Tensor
        uint8, (N, height - 2 * margin, width - 2 * margin).
    """
    return decide(cropped(at_full_size(logits, stride), margin))[0]


@torch.inference_mode()
def decide_surely(logits: Tensor, stride: int, margin: int) -> tuple[Tensor, Tensor]:
    """Decide each pixel's class at full size, and say how sure that is.

    Parameters
    ----------
    logits, stride, margin
        As for `best_channel`.

    Returns
    -------
    channels, sure : Tensor
        uint8, (N, height - 2 * margin, width - 2 * margin). `sure` is the probability, 255 for 1.
    """
    logits = cropped(at_full_size(logits, stride), margin)
    channels, largest = decide(logits)
    # The largest probability is 1 / sum(exp(logit - largest)).
    return channels, (255 / (logits - largest[:, None]).exp().sum(dim=1)).round().to(torch.uint8)


@torch.inference_mode()
def best_channel_at(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Decide each pixel's class at any size; logits are enlarged to it bilinearly.

    This is done in strips of rows: the logits of a whole image at full size would not fit in memory.

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
