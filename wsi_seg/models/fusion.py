"""Hierarchical feature fusion; while training on a CPU, by a compiled kernel."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from wsi_seg.models.training_kernels import FusionStruct, Kernels, kernels_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.autograd.function import FunctionCtx


def fuse(branches: Sequence[Tensor], hierarchical: bool = True, added: Tensor | None = None) -> Tensor:
    """Hierarchical feature fusion, which removes the gridding of large dilations.

    As in the released code, the undilated branch d1 takes no part in the sums: the result is d1, d2, d2 + d4,
    d2 + d4 + d8, ..., concatenated. If not `hierarchical`, all branches are concatenated unchanged.

    Parameters
    ----------
    branches : sequence of Tensor
        (N, channels, H, W), of as many channels from the second on.
    hierarchical : bool
    added : Tensor, optional
        What is added to the result, of its shape.
    """
    undilated, *dilated = branches
    kernels = None
    if hierarchical and dilated:
        kernels = kernels_for(*branches, *([] if added is None else [added]))
    if kernels is not None:
        return _Fused.apply(kernels, added, *branches)  # type: ignore[no-untyped-call, no-any-return]
    fused = torch.cat([undilated, *(accumulate(dilated) if hierarchical else dilated)], dim=1)
    return fused if added is None else fused + added


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, kernels: Kernels, added: Tensor | None, *branches: Tensor) -> Tensor:
        n, _, height, width = branches[0].shape
        fused = branches[0].new_empty(n, height, width, sum(b.shape[1] for b in branches)).permute(0, 3, 1, 2)
        assert added is None or added.shape == fused.shape
        kernels.fuse(FusionStruct.of(branches), None if added is None else added.data_ptr(), fused.data_ptr())
        ctx.kernels, ctx.added = kernels, added is not None  # type: ignore[attr-defined]
        ctx.widths = [b.shape[1] for b in branches]  # type: ignore[attr-defined]
        return fused

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        n, _, height, width = grad.shape
        of_branches = [
            grad.new_empty(n, height, width, channels).permute(0, 3, 1, 2)
            for channels in ctx.widths  # type: ignore[attr-defined]
        ]
        kernels: Kernels = ctx.kernels  # type: ignore[attr-defined]
        kernels.fuse_back(FusionStruct.of(of_branches), grad.data_ptr())
        return None, grad if ctx.added else None, *of_branches  # type: ignore[attr-defined]
