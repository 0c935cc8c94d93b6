"""The loss of a training step on a CPU and its gradient, in one compiled kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from wsi_seg.data.sources import IGNORE
from wsi_seg.models.training_kernels import Kernels, LossStruct

if TYPE_CHECKING:
    from torch.autograd.function import FunctionCtx


def compiled_loss(
    kernels: Kernels, logits: Tensor, truth: Tensor, weights: Tensor | None, terms: tuple[float, float, float]
) -> Tensor:
    """Return what `SegmentationLoss` does.

    Parameters
    ----------
    kernels : Kernels
        For the type of the logits.
    logits : Tensor
        Channels-last, shape (N, classes, H, W).
    truth : Tensor
        uint8, shape (N, H, W): class indices, or `IGNORE`.
    weights : Tensor or None
        float32, one for each class; None: all are one.
    terms : (float, float, float)
        How much the Dice loss counts, the least weight of all pixels, and the Dice loss's smoothing.

    Raises
    ------
    IndexError
        If the truth has a class that the logits do not.
    """
    weights = torch.ones(logits.shape[1]) if weights is None else weights
    return _Compared.apply(kernels, logits, truth.contiguous(), weights, terms)  # type: ignore[no-untyped-call, no-any-return]


class _Compared(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        kernels: Kernels,
        logits: Tensor,
        truth: Tensor,
        weights: Tensor,
        terms: tuple[float, float, float],
    ) -> Tensor:
        classes, threads = logits.shape[1], torch.get_num_threads()
        assert truth.dtype == torch.uint8
        assert truth.shape == (len(logits), *logits.shape[2:])
        assert weights.dtype == torch.float32
        assert weights.shape == (classes,)
        work = LossStruct(truth.numel(), classes, IGNORE, threads, weights.data_ptr(), *terms)
        grad = torch.empty_like(logits)
        loss = kernels.loss(work, logits.data_ptr(), truth.data_ptr(), grad.data_ptr())
        if loss < 0:
            raise IndexError(f"a class that is none of the network's {classes}")
        ctx.save_for_backward(grad)
        return torch.tensor(loss, dtype=torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = ctx.saved_tensors  # type: ignore[attr-defined]
        once = float(grads[0])
        return None, grad if once == 1 else grad * once, None, None, None
