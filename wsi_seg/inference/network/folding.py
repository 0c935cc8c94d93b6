"""Fold batch normalisations into convolutions, for any network of PyTorch modules."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from wsi_seg.models.negligible import clear
from wsi_seg.models.norm_act import NormAct

if TYPE_CHECKING:
    from collections.abc import Iterator

Module = TypeVar("Module", bound=nn.Module)


@torch.no_grad()
def folded(network: Module) -> Module:
    """Copy a network for inference, with each batch normalisation folded into the convolution before it.

    This is done only where both are in one `nn.Sequential`, as nothing else uses the map between them there.
    Weights too small to matter become 0: see `wsi_seg.models.negligible`.

    Parameters
    ----------
    network : Module
        In eval mode. It stays unchanged.
    """
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        if _is_plain_sequence(module):
            for (owner, name, step), (norm_owner, norm_name, norm) in pairwise(list(_steps(module))):
                if isinstance(step, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    setattr(owner, name, fuse_conv_bn_eval(step, norm))
                    setattr(norm_owner, norm_name, nn.Identity())
    clear(network)
    return network


def _steps(sequence: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    """Yield the modules that run one after another, each with its parent and its name there."""
    for name, module in sequence.named_children():
        if _is_plain_sequence(module):
            yield from _steps(module)
        else:
            yield sequence, name, module


def _is_plain_sequence(module: nn.Module) -> bool:
    """Return whether a module only passes the result of each part to the next."""
    if isinstance(module, NormAct):  # it does so, too, while nothing is learned
        return True
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward
