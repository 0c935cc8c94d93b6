"""A batch in parts: each part is normalised by itself, and on a CPU the parts are computed in parallel.

A network that runs on all cores makes them wait for each other after each of its hundreds of small steps.
Several networks, each on a share of the cores, do not. Normalising a few patches at a time also varies what a
network sees (Hoffer et al., 2017, "ghost batch normalisation").
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from wsi_seg.inference.network.threads import computing_threads
from wsi_seg.training.engine.copying import copy_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Parts:
    """Computes the loss of batches in parts; bit for bit the same for any number of cores.

    Parameters
    ----------
    network : Module
        Its batch normalisation statistics become the mean of those of the parts.
    loss : callable
        Takes a network and tensors of a batch, or of a part of it; returns the loss.
    count : int
        Parts of a batch.
    """

    def __init__(self, network: nn.Module, loss: Callable[..., Tensor], count: int) -> None:
        self._loss = loss
        self._networks = [network, *(_with_own_buffers(network) for _ in range(count - 1))]
        threads = torch.get_num_threads()
        self._pool = computing_threads(min(count, threads), max(1, threads // count), "part")

    def __call__(self, *batch: Tensor) -> Tensor:
        """Return the mean loss of the parts; its gradients are computed with it.

        Parameters
        ----------
        batch : Tensor
            The tensors that the loss takes, each with the batch along its first axis.
        """
        first, *others = self._networks
        for network in others:
            copy_all(first.buffers(), into=network.buffers())
        parameters = [p for p in first.parameters() if p.requires_grad]
        kind = batch[0].device.type
        cast, dtype = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
        parts = zip(*(tensor.chunk(len(self._networks)) for tensor in batch), strict=True)

        def compute(network: nn.Module, part: tuple[Tensor, ...]) -> tuple[Tensor, Sequence[Tensor]]:
            with torch.enable_grad(), torch.autocast(kind, dtype, enabled=cast):
                loss = self._loss(network, *part)
            return loss.detach(), gradients_of(loss, parameters)

        def compute_all() -> tuple[Tensor, Sequence[Tensor]]:
            losses, gradients = zip(*self._pool.map(compute, self._networks, parts), strict=True)
            means = list(gradients[0])
            for theirs in gradients[1:]:
                torch._foreach_add_(means, theirs)
            torch._foreach_div_(means, len(gradients))
            return torch.stack(losses).mean(), means

        loss = handed_on(compute_all, parameters)
        for own, *theirs in zip(*(network.buffers() for network in self._networks), strict=True):
            if own.is_floating_point():
                own.copy_(torch.stack([own, *theirs]).mean(dim=0))
        return loss


def gradients_of(loss: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return a loss's gradient for each parameter; zeros for one that the loss does not depend on."""
    return torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)


def handed_on(compute: Callable[[], tuple[Tensor, Sequence[Tensor]]], parameters: Sequence[Tensor]) -> Tensor:
    """Return a loss whose gradients are computed with it; a backward pass then only reads them.

    Parameters
    ----------
    compute : callable
        Returns the loss and its gradients, one for each parameter.
    parameters : sequence of Tensor
    """
    loss: Tensor = _Computed.apply(compute, *parameters)  # type: ignore[no-untyped-call]
    return loss


class _Computed(torch.autograd.Function):
    """A loss whose gradients are computed with it."""

    @staticmethod
    def forward(
        ctx: Any, compute: Callable[[], tuple[Tensor, Sequence[Tensor]]], *parameters: Tensor
    ) -> Tensor:
        """Compute both, and keep the gradients."""
        loss, ctx.gradients = compute()
        return loss

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients that were kept."""
        return None, *torch._foreach_mul(list(ctx.gradients), outputs[0])


def _with_own_buffers(network: nn.Module) -> nn.Module:
    """Copy a network; the copy shares the parameters, and has buffers of its own."""
    shared = {id(parameter): parameter for parameter in network.parameters()}
    return copy.deepcopy(network, shared)
