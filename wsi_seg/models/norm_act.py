"""Batch normalisation and an activation; while training on a CPU, both in one compiled kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from wsi_seg.models.layers import activate
from wsi_seg.models.training_kernels import Kernels, NormActStruct, kernels_for

if TYPE_CHECKING:
    from torch.autograd.function import FunctionCtx

    from wsi_seg.models.block_names import Activation

EPSILON = 1e-3


class NormAct(nn.Sequential):
    """Batch normalisation and an activation.

    Parameters
    ----------
    channels : int
    activation : {"prelu", "relu"}
    """

    def __init__(self, channels: int, activation: Activation = "prelu") -> None:
        super().__init__(nn.BatchNorm2d(channels, eps=EPSILON), activate(channels, activation))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape."""
        norm, activation = self
        kernels = kernels_for(x) if _learns(norm, x) else None
        if kernels is None:
            return super().forward(x)  # type: ignore[no-untyped-call, no-any-return]
        assert isinstance(norm, nn.BatchNorm2d)
        slope = activation.weight if isinstance(activation, nn.PReLU) else torch.zeros_like(norm.weight)
        y: Tensor
        y, mean, variance = _Together.apply(kernels, x, norm.weight, norm.bias, slope, norm.eps)  # type: ignore[no-untyped-call]
        _remember(norm, mean, variance, x.numel() // len(mean))
        return y


def _learns(norm: nn.Module, x: Tensor) -> bool:
    """Whether statistics are an image's own, and weights are of the kernels' type."""
    if not isinstance(norm, nn.BatchNorm2d):  # folded into a convolution
        return False
    several = x.numel() > x.shape[1]  # PyTorch refuses a single value
    return norm.training and several and norm.weight.dtype == torch.float32 and norm.momentum is not None


def _remember(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, pixels: int) -> None:
    """Move the running statistics towards an image's, as PyTorch does."""
    assert norm.momentum is not None
    assert norm.num_batches_tracked is not None
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.num_batches_tracked.add_(1)
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(variance.mul_(pixels / (pixels - 1)), norm.momentum)  # without bias


class _Together(torch.autograd.Function):
    """Normalise and activate; return mean and (biased) variance of the image as well."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, kernels: Kernels, x: Tensor, weight: Tensor, bias: Tensor, slope: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, deviation, variance = (torch.empty_like(weight) for _ in range(3))
        y = torch.empty_like(x)
        of_channels = (weight, bias, slope, mean, deviation)
        work = NormActStruct.of(x, of_channels)
        kernels.norm_act(work, x.data_ptr(), y.data_ptr(), variance.data_ptr(), eps)
        ctx.save_for_backward(x, *of_channels)
        ctx.kernels = kernels  # type: ignore[attr-defined]
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, *of_channels = ctx.saved_tensors  # type: ignore[attr-defined]
        grad = grads[0].to(x.dtype).contiguous(memory_format=torch.channels_last)
        of_x = torch.empty_like(x)
        gradients = [of_x, *(torch.empty_like(of_channels[0]) for _ in range(3))]
        kernels: Kernels = ctx.kernels  # type: ignore[attr-defined]
        work = NormActStruct.of(x, of_channels)
        kernels.norm_act_back(work, *(t.data_ptr() for t in (x, grad, *gradients)))
        return None, *gradients, None
