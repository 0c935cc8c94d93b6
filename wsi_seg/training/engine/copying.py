"""Copies of many tensors at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor


def copy_all(tensors: Iterable[Tensor], into: Iterable[Tensor]) -> None:
    """Copy tensors, all of one type at once: a GPU takes longer to start a copy than to do it.

    A network may have none of a kind: one without normalisation has no buffers.
    """
    kinds: dict[torch.dtype, list[tuple[Tensor, Tensor]]] = {}
    for pair in zip(tensors, into, strict=True):
        kinds.setdefault(pair[0].dtype, []).append(pair)
    for pairs in kinds.values():
        torch._foreach_copy_([to for _, to in pairs], [tensor for tensor, _ in pairs])
