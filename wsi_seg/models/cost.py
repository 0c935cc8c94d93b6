"""What a network costs, counted and not timed: parameters, multiplications, memory for its maps.

The same on every machine: networks run on PyTorch's "meta" device, where tensors have shapes but no numbers.
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
"""Height and width of the image that the ESPNet paper counts and times: Cityscapes', halved."""


def count_parameters(network: nn.Module) -> int:
    """Count what is trained: weights, biases and slopes, but not the statistics of batch normalisations."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_macs(network: nn.Module, height: int, width: int) -> int:
    """Count the multiply-accumulates of one image's way through a network.

    Those of convolutions, transposed convolutions and matrix products, as papers count them: padding is
    multiplied too; normalisation, activation, pooling, resizing and sums are left out.

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
    """Return the most memory that maps take at any one time while an image is segmented, in bytes.

    Counted are the image, and the results of PyTorch's operations for as long as one of them is still needed,
    in eval mode, without gradients, at batch 1; once, where operations share memory. Not counted are weights,
    and what an operation needs for itself (a convolution's workspace) or an allocator keeps in reserve.

    Parameters
    ----------
    network : nn.Module
        As `count_macs` takes it.
    height, width : int
        Of the image, in pixels.
    dtype : torch.dtype
        Of the image and of all weights.

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
    except (RuntimeError, NotImplementedError):  # one that looks at the numbers cannot be run without
        computes = "an unknown number of multiply-accumulates"
    return (
        f"{network.config.title} ({network.config.shape}): {count_parameters(network):,} parameters, "
        f"{computes} at {width} x {height}"
    )


def _run(
    network: nn.Module, height: int, width: int, dtype: torch.dtype, mode: AbstractContextManager[object]
) -> None:
    """Send one image without numbers through a copy of a network without numbers."""
    copied = copy.deepcopy(network).to(device="meta", dtype=dtype).eval()
    with torch.no_grad(), mode:
        copied(torch.empty(1, RGB, height, width, dtype=dtype, device="meta"))


class _StorageWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the memory that operations make, and when it is free again."""

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
            # What shares memory with an argument is that argument's, or a weight seen in another shape.
            if isinstance(result, Tensor) and _key(result) not in given:
                storage = result.untyped_storage()
                self._alive[_key(result)] = (_weak(storage), storage.nbytes())
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return results


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _weak(storage: torch.UntypedStorage) -> StorageWeakRef:
    return StorageWeakRef(storage)  # type: ignore[no-untyped-call]
