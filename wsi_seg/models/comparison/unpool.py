"""Max-unpooling, as ENet and SegNet have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def unpool(maps: Tensor, places: Tensor, height: int, width: int) -> Tensor:
    """Put values where the maxima of a max-pooling lay, and zeros elsewhere.

    Written as a scatter, which can be exported and is the same to the bit on every run;
    `torch.nn.functional.max_unpool2d` is neither. Pixels come before channels, as they lie in memory.

    Parameters
    ----------
    maps : Tensor
        (N, channels, h, w).
    places : Tensor
        Of the same shape, int64: row * width + column, as `max_pool2d` returns them.
    height, width : int
        Of the map that was pooled.

    Returns
    -------
    Tensor
        (N, channels, height, width), channels-last.
    """
    values, at = (x.flatten(2).transpose(1, 2) for x in (maps, places))
    spread = values.new_zeros(values.shape[0], height * width, values.shape[2]).scatter(1, at, values)
    return spread.transpose(1, 2).unflatten(2, (height, width))
