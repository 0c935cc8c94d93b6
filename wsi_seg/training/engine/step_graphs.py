"""Losses and gradients by CUDA graphs: a GPU computes a small network faster than kernels are launched."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from wsi_seg.training.engine.copying import copy_all
from wsi_seg.training.engine.parts import gradients_of, handed_on

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

WARM_UP = 3
"""How often a step is computed before it is recorded, while libraries choose their algorithms."""

MOST = 8
"""Number of shapes that are recorded; each needs memory. Other shapes are computed without recording."""


@dataclass(frozen=True)
class _Step:
    graph: torch.cuda.CUDAGraph
    given: tuple[Tensor, ...]
    loss: Tensor
    gradients: Sequence[Tensor]


class Recorded:
    """Computes the loss of batches with its gradients, from a recording for each shape of batch.

    Parameters
    ----------
    network : Module
        On a CUDA device; its operations must not depend on the input's values.
    loss : callable
        Takes a network and the tensors of a batch; returns the loss.
    """

    def __init__(self, network: nn.Module, loss: Callable[..., Tensor]) -> None:
        self._network, self._loss = network, loss
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        self._replica = replica(network)
        self._steps: dict[torch.Size, _Step | None] = {}
        self._pool: Any = None

    def __call__(self, *batch: Tensor) -> Tensor:
        """Return the loss; its gradients are computed with it.

        Parameters
        ----------
        batch : Tensor
            The tensors that the loss takes.
        """
        shape = batch[0].shape
        if shape not in self._steps and len(self._steps) < MOST:
            self._steps[shape] = self._recorded(batch)
        step = self._steps.get(shape)
        if step is None:
            return self._loss(self._network, *batch)
        torch._foreach_copy_(list(step.given), list(batch))
        step.graph.replay()
        # The next replay overwrites the loss; gradients are scaled into memory of their own.
        return handed_on(lambda: (step.loss.clone(), step.gradients), self._parameters)

    def _recorded(self, batch: tuple[Tensor, ...]) -> _Step | None:
        """Record a step; if that fails, report it, and compute such steps without recording."""
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
        finally:  # these were no real steps: undo their updates
            torch.cuda.current_stream(device).wait_stream(side)
            copy_all(before, into=buffers)
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        # Other threads may pin memory at the same time.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            loss, gradients = self._compute(given)
        return _Step(graph, given, loss, gradients)

    def _compute(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, Sequence[Tensor]]:
        kind = batch[0].device.type
        cast, dtype = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
        # A cached cast of a weight would be used again outside of the recording.
        with torch.enable_grad(), torch.autocast(kind, dtype, enabled=cast, cache_enabled=False):
            loss = self._loss(self._replica, *batch)
        parameters = [p for p in self._replica.parameters() if p.requires_grad]
        return loss.detach(), gradients_of(loss, parameters)


def replica(network: nn.Module) -> nn.Module:
    """Copy a network; the copy shares the memory of weights and statistics with the original.

    PyTorch binds a parameter's gradient accumulator to the stream of its first use, for as long as anything
    refers to it. A recording must not meet such an accumulator.
    """
    shared: dict[int, Any] = {id(buffer): buffer for buffer in network.buffers()}
    shared |= {id(p): nn.Parameter(p.detach(), p.requires_grad) for p in network.parameters()}
    return copy.deepcopy(network, shared)
