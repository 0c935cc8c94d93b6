"""Networks and model files, as tests look at them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from wsi_seg.inference.fast.fast_espnet import FastESPNet
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.models.header import InputSpec
    from wsi_seg.models.network import NetworkConfig

CONVOLUTIONS: Any = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # which PyTorch sets as it goes


N = TypeVar("N", bound=nn.Module)


def fast_espnet(network: ESPNet, spec: InputSpec, by_amx: bool = False) -> FastESPNet:
    """A network, rearranged for compiled kernels."""
    arrays = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    return FastESPNet(network.config, arrays, spec, by_amx=by_amx)


def channels_last(network: N) -> N:
    """The network, its weights in the order that convolutions like best."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def provenance_of(bundle: ModelBundle) -> dict[str, Any]:
    """What a model file says of where its weights come from."""
    return dict(bundle.training)


def espnet_config(config: NetworkConfig) -> ESPNetConfig:
    """A network's config, which is an ESPNet's."""
    assert isinstance(config, ESPNetConfig)
    return config


def layer(network: nn.Module, name: str, kind: type[N]) -> N:
    """A part of a network by its name, which is of that kind."""
    found = network.get_submodule(name)
    assert isinstance(found, kind)
    return found


def disturb(norm: nn.BatchNorm2d) -> None:
    """Give a normalisation statistics and weights as a training leaves them."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.1, 3)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.normal_(norm.bias)


def trained_espnet(config: ESPNetConfig) -> ESPNet:
    """Make a network whose statistics and slopes are as uneven as a trained one's."""
    torch.manual_seed(0)
    network = ESPNet(config).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            disturb(module)
        if isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, -0.3, 0.5)
    return network


def backward(loss: torch.Tensor) -> None:
    """Find the gradients."""
    loss.backward()  # type: ignore[no-untyped-call]


def open_script(path: Path, extra: dict[str, str] | None = None) -> Any:
    """A network that was exported as TorchScript; beside it the files whose names `extra` has."""
    with warnings.catch_warnings(action="ignore"):
        return torch.jit.load(path, _extra_files=extra)  # type: ignore[no-untyped-call]
