"""CUDA graphs: the many small kernels of a network, recorded once and launched together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

WARM_UP = 3
"""How often a function runs before it is recorded, while libraries choose their algorithms."""


@dataclass(frozen=True)
class _Recorded:
    graph: torch.cuda.CUDAGraph
    given: Tensor
    result: Tensor


class Graphed:
    """A function of one CUDA tensor, recorded for each shape that it is given.

    The next call overwrites the result; to keep it, copy it in the same stream.

    Parameters
    ----------
    function : callable
        It must launch the same kernels for any values.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self._function = function
        self._recorded: dict[torch.Size, _Recorded] = {}

    def __call__(self, given: Tensor) -> Tensor:
        """Compute the function."""
        recorded = self._recorded.get(given.shape) or self._record(given)
        recorded.given.copy_(given)
        recorded.graph.replay()
        return recorded.result

    def _record(self, given: Tensor) -> _Recorded:
        kept = given.clone()
        side = torch.cuda.Stream(given.device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(given.device))
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self._function(kept)
        torch.cuda.current_stream(given.device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # Other threads may pin memory at the same time.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            result = self._function(kept)
        self._recorded[given.shape] = _Recorded(graph, kept, result)
        return self._recorded[given.shape]
