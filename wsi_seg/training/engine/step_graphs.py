"""Losses and gradients by CUDA graphs: a GPU computes a small network faster than kernels can be launched."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from wsi_seg.training.engine.parts import handed_on

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

WARM_UP = 3
"""Times that a step is computed before it is recorded, while libraries choose their algorithms."""

MOST = 8
"""Shapes that are recorded; each keeps memory. Others are computed step by step."""


@dataclass(frozen=True)
class _Step:
    graph: torch.cuda.CUDAGraph
    given: tuple[Tensor, ...]
    loss: Tensor
    gradients: Sequence[Tensor]


class Recorded:
    """Computes the loss of batches, and its gradients with it, as recorded for each shape of batch.

    Parameters
    ----------
    network : Module
        On a CUDA device; what it does must not depend on the values that it is given.
    loss : callable
        Returns the loss of a batch by a network: takes the network, and the batch's tensors.
    """

    def __init__(self, network: nn.Module, loss: Callable[..., Tensor]) -> None:
        self._network, self._loss = network, loss
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        self._replica = replica(network)
        self._steps: dict[torch.Size, _Step | None] = {}
        self._pool: Any = None

    def __call__(self, *batch: Tensor) -> Tensor:
        """Return the loss; its gradients are there already, and only handed on.

        Parameters
        ----------
        batch : Tensor
            What the loss takes.
        """
        shape = batch[0].shape
        if shape not in self._steps and len(self._steps) < MOST:
            self._steps[shape] = self._recorded(batch)
        step = self._steps.get(shape)
        if step is None:
            return self._loss(self._network, *batch)
        torch._foreach_copy_(list(step.given), list(batch))
        step.graph.replay()
        # The next replay writes over the loss; gradients are scaled into memory of their own.
        return handed_on(lambda: (step.loss.clone(), step.gradients), self._parameters)

    def _recorded(self, batch: tuple[Tensor, ...]) -> _Step | None:
        """Record a step; where that fails, say so, and leave such steps to be computed one by one."""
        try:
            return self._record(batch)
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            log.warning("training is slower than it could be: its steps cannot be recorded (%s)", reason)
            return None

    def _record(self, batch: tuple[Tensor, ...]) -> _Step:
        device = batch[0].device
        given = tuple(tensor.clone() for tensor in batch)
        buffers = list(self._network.buffers())
        before = [buffer.clone() for buffer in buffers]
        side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(device))
        try:
            with torch.cuda.stream(side):
                for _ in range(WARM_UP):
                    self._compute(given)
        finally:  # those steps were none
            torch.cuda.current_stream(device).wait_stream(side)
            torch._foreach_copy_(buffers, before)
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        # Other threads may pin memory meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            loss, gradients = self._compute(given)
        return _Step(graph, given, loss, gradients)

    def _compute(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, Sequence[Tensor]]:
        kind = batch[0].device.type
        cast, dtype = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
        # A weight that was cast and kept would be found again outside of the recording.
        with torch.enable_grad(), torch.autocast(kind, dtype, enabled=cast, cache_enabled=False):
            loss = self._loss(self._replica, *batch)
        parameters = [p for p in self._replica.parameters() if p.requires_grad]
        return loss.detach(), torch.autograd.grad(loss, parameters)


def replica(network: nn.Module) -> nn.Module:
    """Copy a network whose weights and statistics stay those of the original, in the same memory.

    Where gradients of a parameter are gathered is bound to the stream in which it was first used, for as long
    as anything refers to that: recording must not come upon it.
    """
    shared: dict[int, Any] = {id(buffer): buffer for buffer in network.buffers()}
    shared |= {id(p): nn.Parameter(p.detach(), p.requires_grad) for p in network.parameters()}
    return copy.deepcopy(network, shared)
