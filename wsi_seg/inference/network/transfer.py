"""Copy arrays to a device and back while it computes.

Each direction has two functions: one starts a copy and the other waits for it, so that the computing thread
need not wait. On a CPU nothing is copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class Transfer:
    """Copies to and from one device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def send(self, array: NDArray[np.uint8]) -> Callable[[], Tensor]:
        """Start to copy an array; return a function that gives it to the stream of its caller."""
        host = torch.from_numpy(array)
        if self._stream is None:
            return lambda: host
        # A GPU can copy by itself only from pinned memory.
        with torch.cuda.stream(self._stream):
            tensor = host.pin_memory().to(self._device, non_blocking=True)
            arrived = self._stream.record_event()

        def receive() -> Tensor:
            stream = torch.cuda.current_stream(self._device)
            stream.wait_event(arrived)
            tensor.record_stream(stream)  # allocated in one stream, used in another
            return tensor

        return receive

    def fetch(self, tensor: Tensor) -> Callable[[], NDArray[np.uint8]]:
        """Start to copy a uint8 tensor once it is computed; return a function that waits for it."""
        if self._stream is None:
            return tensor.numpy
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        host.copy_(tensor, non_blocking=True)
        done = torch.cuda.current_stream(self._device).record_event()

        def receive() -> NDArray[np.uint8]:
            done.synchronize()
            return host.numpy()

        return receive
