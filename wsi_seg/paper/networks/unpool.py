"""Max-unpooling, as ENet and SegNet have it."""

from __future__ import annotations

import torch
from torch import Tensor


def unpool(maps: Tensor, places: Tensor, height: int, width: int) -> Tensor:
    """Put values where the maxima of a max-pooling of 2x2 squares lay, and zeros beside them.

    Written in plain arithmetic, which can be exported for any device and is the same to the bit on every run,
    as `torch.nn.functional.max_unpool2d` is not. Pixels come before channels, as they lie in memory.

    Parameters
    ----------
    maps : Tensor
        (N, channels, h, w).
    places : Tensor
        Of the same shape, int64: row * width + column, as `max_pool2d` returns them.
    height, width : int
        Of the map that was pooled; the last squares of odd sides were cut short.

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
