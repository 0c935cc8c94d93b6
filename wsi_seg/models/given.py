"""Networks given in Python: any PyTorch module that maps images to logits becomes a model in this process.

Another process cannot find the code of such a module. Its model file holds the weights and the module's name;
to read it again, a module of the same kind must be given.
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from wsi_seg.errors import ModelError, UsageError, shortened
from wsi_seg.models.architecture import Architecture
from wsi_seg.models.bundle import ModelBundle, file_of, hold, load_bundle
from wsi_seg.models.header import InputSpec, ModelHeader
from wsi_seg.models.network import Network
from wsi_seg.models.network_config import TriedConfig
from wsi_seg.models.reach import measure_reach
from wsi_seg.models.registry import GIVEN, LARGEST_MULTIPLE, LARGEST_STRIDE, REGISTER

if TYPE_CHECKING:
    from wsi_seg.models.classes import ClassSchema

ABOUT = 128
"""Approximate side in pixels of the images on which a module is tried."""


@dataclass(frozen=True)
class GivenConfig(TriedConfig):
    """The config of a module given in Python.

    Attributes
    ----------
    classes : int
    module : str
        Name of its class.
    structure : str
        Digest of its printed form: its layers and their settings.
    stride : int
        Image pixels per logit along each side.
    sides : int
        An image's sides are multiples of this.
    reach : int or None
        In pixels, as measured; None if it is unbounded.
    """

    module: str = ""
    structure: str = ""
    stride: int = 1
    sides: int = 1
    reach: int | None = None

    @property
    def title(self) -> str:
        """The name of this kind of network."""
        return self.module.rpartition(".")[2]

    @property
    def shape(self) -> str:
        """How this network differs from others of its kind, in words."""
        sees = "any number of" if self.reach is None else str(self.reach)
        unbounded = ", so classes depend on the patch" if self.reach is None else ""
        return (
            f"{self.module}, given in Python; a pixel's class depends on {sees} pixels around it{unbounded}"
        )


class GivenNetwork(Network):
    """A module as a network.

    Parameters
    ----------
    config : GivenConfig
    module : nn.Module
        The module from which the config was made; a model file does not have it.

    Raises
    ------
    ModelError
        If there is no module, or it is another one.
    """

    config_type = GivenConfig
    config: GivenConfig

    def __init__(self, config: GivenConfig, module: nn.Module | None = None) -> None:
        super().__init__(config)
        if module is None:
            raise ModelError(
                f"its network, {shortened(config.module)}, was given in Python and has no code here: read it "
                f"with wsi_seg.load_model(PATH, network=...), or {REGISTER}"
            )
        if (name_of(module), structure_of(module)) != (config.module, config.structure):
            raise ModelError(
                f"its network is {shortened(config.module)} with other layers or settings than the "
                f"{name_of(module)} given: give the one that it was made of"
            )
        self.module = module

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W), normalised -> (N, classes, H / stride, W / stride)."""
        self.check_sides(image)
        logits: Tensor = self.module(image)
        return logits


def name_of(module: nn.Module) -> str:
    """Return the full name of a module's class."""
    return f"{type(module).__module__}.{type(module).__qualname__}"


def structure_of(module: nn.Module) -> str:
    """Return a digest of a module's layers and their settings, as PyTorch prints them."""
    return hashlib.sha256(repr(module).encode()).hexdigest()[:16]


def model_of(module: nn.Module, schema: ClassSchema, spec: InputSpec, name: str | None = None) -> ModelBundle:
    """Make a model from a module; the module is copied, and stays unchanged.

    Parameters
    ----------
    module : nn.Module
        Maps float images (N, 3, H, W) to logits (N, classes, H / s, W / s).
    schema : ClassSchema
        The classes of its output channels.
    spec : InputSpec
        The input that it was trained on.
    name : str, optional
        Name of the model; by default the module's class.

    Raises
    ------
    ModelError
        If its output has another form, it has another number of classes, or it cannot be copied.
    """
    own = _copied(module)
    sides, stride = _found_out(own, len(schema))
    config = GivenConfig(
        classes=len(schema),
        module=name_of(module),
        structure=structure_of(own),
        stride=stride,
        sides=sides,
        reach=measure_reach(own).pixels,
    )
    header = ModelHeader(
        name=name or type(module).__name__,
        architecture=Architecture(name=GIVEN, config=config),
        classes=schema,
        input=spec,
        training={"data": "unknown: the network was given in Python"},
    )
    path = Path(f"{header.name} (a network given in Python)")
    return as_model(GivenNetwork(config, own), header, path)


def as_model(network: Network, header: ModelHeader, path: Path) -> ModelBundle:
    """Return the model of a module; its fingerprint is that of the model file it would be saved to."""
    fingerprint = hashlib.sha256(file_of(path, network, header)).hexdigest()
    return hold(ModelBundle.of(network, header, fingerprint, path))


def load_given(path: Path, module: nn.Module) -> ModelBundle:
    """Read the model file of a network that was given in Python, with a module of the same kind.

    Raises
    ------
    ModelError
        If the file is damaged, or of another network.
    """
    own = _copied(module)

    def build(architecture: Architecture) -> Network:
        if not isinstance(architecture.config, GivenConfig):
            raise ModelError("it is of a registered network: load it without network=")
        return GivenNetwork(architecture.config, own)

    return hold(load_bundle(path, build))


def is_given(network: nn.Module) -> bool:
    """Return whether a network was given in Python, so that only this process knows it."""
    return isinstance(network, GivenNetwork)


def _copied(module: nn.Module) -> nn.Module:
    if not isinstance(module, nn.Module):
        raise UsageError(f"network={shortened(repr(module))}: give a torch.nn.Module")
    try:
        return copy.deepcopy(module).cpu().float().eval()
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise _no_network(module, f"cannot be copied: {error}") from error


def module_of(bundle: ModelBundle) -> nn.Module | None:
    """Return the module of a model whose network was given in Python, else None."""
    return bundle.network.module if isinstance(bundle.network, GivenNetwork) else None


def _found_out(module: nn.Module, classes: int) -> tuple[int, int]:
    """Find the number of which the sides of images must be multiples, and the stride of the logits."""
    sides: int = 1
    fault: object = None
    cause: Exception | None = None
    while sides <= LARGEST_MULTIPLE:
        # Odd multiples of it, so that they are not multiples of a larger power of two.
        height = sides * (ABOUT // sides | 1)
        try:
            with torch.no_grad():
                logits = module(torch.zeros(1, 3, height, height + 2 * sides))
        except Exception as error:  # whatever the module raises for a size that it does not take
            fault = cause = error
        else:
            stride = _stride_of(module, logits, (height, height + 2 * sides), classes)
            if stride:
                return sides, stride
            fault = (
                f"gives logits of {logits.shape[2]} x {logits.shape[3]} for {height} x {height + 2 * sides} "
                "pixels, which do not cover them evenly: pad its convolutions, so that it gives H / s x W / s"
            )
        sides *= 2
    raise _no_network(
        module, f"does not fit, at sides of multiples of 1 to {LARGEST_MULTIPLE}: {fault}"
    ) from cause


def _stride_of(module: nn.Module, logits: object, size: tuple[int, int], classes: int) -> int | None:
    """Return the stride of logits; None if they do not cover the image evenly."""
    if not isinstance(logits, Tensor):
        raise _no_network(
            module, f"returns a {type(logits).__name__}: wrap it in one that returns the logits"
        )
    if logits.ndim != 4 or len(logits) != 1 or not logits.is_floating_point():
        raise _no_network(
            module,
            f"returns {tuple(logits.shape)} {logits.dtype}: give float logits (N, classes, H / s, W / s)",
        )
    if logits.shape[1] != classes:
        raise _no_network(module, f"gives {logits.shape[1]} channels, but {classes} classes are named")
    stride = round(size[0] / logits.shape[2])
    even = all(side == n * stride for side, n in zip(size, logits.shape[2:], strict=True))
    return stride if even and LARGEST_STRIDE % stride == 0 else None


def _no_network(module: nn.Module, why: str) -> ModelError:
    return ModelError(f"{name_of(module)}: {shortened(' '.join(why.split()), 400)}")
