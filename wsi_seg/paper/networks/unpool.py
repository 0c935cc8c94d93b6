"""Max-unpooling for ENet and SegNet."""

from __future__ import annotations

import torch
from torch import Tensor


def unpool(maps: Tensor, places: Tensor, height: int, width: int) -> Tensor:
    """Put values to the places of the maxima of a 2x2 max-pooling, and zeros elsewhere.

    This uses plain arithmetic, which can be exported for any device and is bit for bit the same on every run;
    `torch.nn.functional.max_unpool2d` is not. Pixels come before channels, as in memory.

    Parameters
    ----------
    maps : Tensor
        (N, channels, h, w).
    places : Tensor
        Of the same shape, int64: row * width + column, as `max_pool2d` returns them.
    height, width : int
        Size of the map that was pooled; if a side is odd, the last squares are incomplete.

    Returns
    -------
    Tensor
        (N, channels, height, width), channels-last.
    """
    maps, places = maps.permute(0, 2, 3, 1), places.permute(0, 2, 3, 1)
    row = places // width
    corner = row % 2 * 2 + (places - row * width) % 2  # ONNX has no remainder of a size that varies
    top, bottom = (
        torch.stack([maps.masked_fill(corner != 2 * down + right, 0) for right in (0, 1)], dim=3)
        for down in (0, 1)
    )
    squares = torch.stack([top, bottom], dim=2)  # (N, h, 2, w, 2, channels)
    return squares.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)[..., :height, :width]
