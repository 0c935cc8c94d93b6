"""Limits on networks in files: none far larger than its file, and no impossible weights."""

from __future__ import annotations

import errno
import threading
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from wsi_seg.files.plain_files import check_plain, in_words
from wsi_seg.models.container import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

SLACK = 2**24
"""A network may have twice its file's weights plus this many: smaller differences are then named."""


@contextmanager
def no_larger_than(weights: int) -> Iterator[None]:
    """Refuse to make a network that has far more weights than the file that describes it.

    A layer's weights are counted before they are filled, so a file of a few kilobytes cannot fill the
    machine's memory.

    Parameters
    ----------
    weights : int
        Number of weights in the file.

    Raises
    ------
    ValueError
        If the network has far more.
    """
    here, made, most = threading.get_ident(), 0, 2 * weights + SLACK

    def count(_: nn.Module, __: str, parameter: nn.Parameter | None) -> None:
        nonlocal made
        if parameter is not None and threading.get_ident() == here:
            made += parameter.numel()
            if made > most:
                raise ValueError(f"it describes a network far larger than its {weights:,} weights")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    except RuntimeError as error:  # PyTorch's error if memory is full
        if "memory" not in str(error) and "overflow" not in str(error):
            raise
        raise ValueError(f"it describes a network far larger than its {weights:,} weights") from error
    finally:
        hook.remove()


def fault_of(name: str, tensor: Tensor) -> str:
    """Describe what is impossible in a tensor of a network; empty if it is sound.

    Parameters
    ----------
    name : str
        As in a state dict; the name of a variance ends in ``running_var``.
    tensor : Tensor
    """
    if not torch.isfinite(tensor).all():
        return "NaN or infinite weights"
    if name.endswith("running_var") and bool((tensor < 0).any()):
        return "negative variances"
    return ""


def held_in(tensor: Tensor) -> int:
    """Count the numbers that are stored for a tensor; its shape may state more."""
    return min(tensor.numel(), tensor.untyped_storage().nbytes() // tensor.element_size())


def check_packed(path: Path) -> None:
    """Check that a checkpoint is not compressed, so that PyTorch loads no more than the file's size.

    Raises
    ------
    OSError
        If it is not a regular file, or too large.
    ValueError
        If it is compressed; PyTorch writes no such files.
    """
    check_plain(path)
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise OSError(errno.EFBIG, f"holds more than {in_words(MAX_BYTES)}", str(path))
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > size:
                raise ValueError("packed")
