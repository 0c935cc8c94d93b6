"""A network whose batch normalisations follow other images than it was trained on.

A batch normalisation subtracts the mean of a map over the training images, and divides by its standard
deviation. On images of another stain or scanner both differ; measured anew on these images, they take much of
the difference away (Li et al., Revisiting Batch Normalization For Practical Domain Adaptation, 2016). Images
that show other classes in other shares move them too, so only a part is taken over.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from wsi_seg.models.bundle import ModelBundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from wsi_seg.models.network import Network

TINY = 1e-5
"""Of a variance: PyTorch's own default."""

DIGITS = 12
"""Binary digits that are kept of each number, so that rounding on other machines seldom shows."""


def normalisations(network: nn.Module) -> dict[str, nn.BatchNorm2d]:
    """Return the batch normalisations of a network that keep statistics, by name."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None
    }


@torch.inference_mode()
def shift_of(network: nn.Module, images: Tensor) -> float:
    """Return how far the maps of images lie from those of training.

    It is the squared difference of a map's mean from that of training, in variances of the map in training;
    the mean of all channels of a normalisation, and of these that of all. 0 without normalisations.

    Parameters
    ----------
    network, images
        As `renormalised` takes them.
    """
    shifts: list[float] = []

    def measure(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
        shift = (inputs[0].mean(dim=(0, 2, 3)) - mean) ** 2 / (variance + TINY)
        shifts.append(float(shift.mean()))

    _run(network, images, measure)
    return sum(shifts) / max(len(shifts), 1)


@torch.inference_mode()
def renormalised(network: Network, images: Tensor, share: float) -> Network:
    """Copy a network, and move its normalisations towards images, from the first to the last.

    Parameters
    ----------
    network : Network
        In eval mode, float32, on the CPU. It stays unchanged.
    images : Tensor
        Float, (N, 3, H, W), normalised as in training.
    share : float
        How much of each statistic comes from the images, 0 to 1; the rest is that of training.
    """
    found: Network = copy.deepcopy(network)

    def move(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        maps = inputs[0]
        for name, measured in (
            ("running_mean", maps.mean(dim=(0, 2, 3))),
            ("running_var", maps.var(dim=(0, 2, 3))),
        ):
            kept = norm.get_buffer(name)
            setattr(norm, name, _rounded(torch.lerp(kept, measured, share)))

    _run(found, images, move)
    return found


def _run(network: nn.Module, images: Tensor, before: Callable[[nn.Module, tuple[Tensor, ...]], None]) -> None:
    """Run a network, and call `before` with each of its normalisations and what that is given."""
    hooks = [norm.register_forward_pre_hook(before) for norm in normalisations(network).values()]
    try:
        network(images)
    finally:
        for hook in hooks:
            hook.remove()


def _rounded(values: Tensor) -> Tensor:
    mantissa, exponent = torch.frexp(values)
    return torch.ldexp(torch.round(torch.ldexp(mantissa, torch.tensor(DIGITS))), exponent - DIGITS)


def statistics_of(network: nn.Module) -> bytes:
    """Return the statistics of a network's normalisations, as the content of a safetensors file."""
    return save({name: buffer.contiguous() for name, buffer in _statistics(network)})


def with_statistics(network: Network, content: bytes) -> Network:
    """Copy a network, with the statistics of `statistics_of`.

    Raises
    ------
    ValueError
        If they are not those of such a network.
    """
    found: Network = copy.deepcopy(network)
    try:
        statistics = load(content)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    own = dict(_statistics(found))
    shapes = {name: (value.shape, value.dtype) for name, value in own.items()}
    if {name: (value.shape, value.dtype) for name, value in statistics.items()} != shapes:
        raise ValueError("statistics of another network")
    for name, value in own.items():
        value.copy_(statistics[name])
    return found


def model_with_statistics(bundle: ModelBundle, content: bytes) -> ModelBundle:
    """Return a model whose network has the statistics of `statistics_of`; all else stays."""
    network = with_statistics(bundle.network, content)
    return ModelBundle.of(network, bundle.header, bundle.fingerprint, bundle.path)


def _statistics(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, norm in normalisations(network).items():
        yield f"{name}.running_mean", norm.get_buffer("running_mean")
        yield f"{name}.running_var", norm.get_buffer("running_var")
