"""The cost of a network, counted and not timed: parameters, multiply-accumulates, memory for its maps.

It is the same on every machine: networks run on PyTorch's "meta" device, where tensors have shapes but no
values.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from wsi_seg.models.network import Network

RGB = 3
PAPER_SIZE = (512, 1024)
"""Height and width of the image for which the ESPNet paper counts and times: half of Cityscapes'."""


def count_parameters(network: nn.Module) -> int:
    """Count what is trained: weights, biases and slopes, without batch normalisation statistics."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(network: nn.Module, height: int, width: int) -> int:
    """Count the multiply-accumulates of a network for one image.

    Convolutions, transposed convolutions and matrix products are counted, as in papers: with padding, and
    without normalisation, activation, pooling, resizing and sums.

    Parameters
    ----------
    network : nn.Module
        Takes float images (N, 3, H, W). It is copied, and stays unchanged.
    height, width : int
        Of the image, in pixels.

    Raises
    ------
    ValueError
        If the network does not take images of that size.
    """
    counter = FlopCounterMode(display=False)
    _run(network, height, width, torch.float32, counter)
    return counter.get_total_flops() // 2


def activation_peak(network: nn.Module, height: int, width: int, dtype: torch.dtype = torch.float32) -> int:
    """Return the peak memory of maps while an image is segmented, in bytes.

    The count has the image, and the results of PyTorch's operations for as long as they are needed, in eval
    mode, without gradients, at batch 1. Shared memory counts once. Weights, the workspace of an operation and
    an allocator's reserve are not counted.

    Parameters
    ----------
    network : nn.Module
        As `count_macs` takes it.
    height, width : int
        Of the image, in pixels.
    dtype : torch.dtype
        Type of the image and of all weights.

    Raises
    ------
    ValueError
        If the network does not take images of that size.
    """
    watch = _StorageWatch()
    _run(network, height, width, dtype, watch)
    return watch.peak


def describe(network: Network) -> str:
    """Describe a network and its cost.

    >>> from wsi_seg.models.espnet import ESPNet, ESPNetConfig
    >>> describe(ESPNet(ESPNetConfig(20, variant="C")))
    'ESPNet-C (p = 2, q = 3, 5 branches): 187,529 parameters, 2.16 billion multiply-accumulates at 1024 x 512'
    """
    height, width = PAPER_SIZE
    try:
        computes = f"{count_macs(network, height, width) / 1e9:.3g} billion multiply-accumulates"
    except (RuntimeError, NotImplementedError):  # a network that reads values cannot run without them
        computes = "an unknown number of multiply-accumulates"
    return (
        f"{network.config.title} ({network.config.shape}): {count_parameters(network):,} parameters, "
        f"{computes} at {width} x {height}"
    )


def _run(
    network: nn.Module, height: int, width: int, dtype: torch.dtype, mode: AbstractContextManager[object]
) -> None:
    """Run a copy of a network on one image, both without values."""
    copied = copy.deepcopy(network).to(device="meta", dtype=dtype).eval()
    with torch.no_grad(), mode:
        copied(torch.empty(1, RGB, height, width, dtype=dtype, device="meta"))


class _StorageWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the memory that operations allocate, and when it is freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {_key(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        results = func(*args, **(kwargs or {}))
        self._alive = {
            key: (ref, size)
            for key, (ref, size) in self._alive.items()
            if not ref.expired()  # type: ignore[no-untyped-call]
        }
        for result in tree_leaves(results):
            # A result that shares memory with an argument is already counted, or is a view of a weight.
            if isinstance(result, Tensor) and _key(result) not in given:
                storage = result.untyped_storage()
                self._alive[_key(result)] = (_weak(storage), storage.nbytes())
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return results


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _weak(storage: torch.UntypedStorage) -> StorageWeakRef:
    return StorageWeakRef(storage)  # type: ignore[no-untyped-call]
