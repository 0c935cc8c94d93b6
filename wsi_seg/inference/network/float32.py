"""Float32 as such on a GPU, which PyTorch would round to TF32 in convolutions."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

PROPER = "ieee"

_changing = threading.Lock()
_inside = 0
_before = ""


@contextmanager
def float32_proper() -> Iterator[None]:
    """Have a GPU convolve float32 as such; TF32 would gain 5 % in an ESPNet.

    The setting is one for all threads: the first to come in changes it, and the last to go puts it back.
    """
    global _inside, _before
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # which PyTorch sets as it goes
    with _changing:
        if _inside == 0:
            _before = convolutions.fp32_precision
            convolutions.fp32_precision = PROPER
        _inside += 1
    try:
        yield
    finally:
        with _changing:
            _inside -= 1
            if _inside == 0:
                convolutions.fp32_precision = _before
