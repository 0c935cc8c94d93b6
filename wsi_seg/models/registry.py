"""All available networks, by name; one that a model file or a recipe names is then imported.

This package's networks are in a table. Those of other packages are entry points of the group
``wsi_seg.networks``, found by name alone: no code comes from a model file.
"""

from __future__ import annotations

import sys
from dataclasses import MISSING, fields
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from itertools import chain, takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from wsi_seg.errors import ModelError, shortened
from wsi_seg.models.network_config import NetworkConfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint

    from wsi_seg.models.network import Network

GROUP = "wsi_seg.networks"
"""The group of entry points by which packages offer networks."""

ONNX, GIVEN = "onnx", "given"
"""Networks that are no code of ours: of an ONNX file, and of a module that was given in Python."""

REGISTER = f"register its class by an entry point of the group {GROUP}"
"""What to do so that other processes find a network that was given in Python."""

OURS = "wsi-seg"
HERE = "this process"

BUILT_IN = {
    "espnet": "wsi_seg.models.espnet:ESPNet",
    "biopsy": "wsi_seg.models.biopsy:BiopsyNet",
    "enet": "wsi_seg.paper.networks.enet:ENet",
    "erfnet": "wsi_seg.paper.networks.erfnet:ERFNet",
    "segnet": "wsi_seg.paper.networks.segnet:SegNet",
    "pspnet": "wsi_seg.paper.networks.pspnet:PSPNet",
    GIVEN: "wsi_seg.models.given:GivenNetwork",
    ONNX: "wsi_seg.models.onnx.onnx_network:OnnxNet",
}

CONFIGS = {
    "espnet": "wsi_seg.models.espnet_config:ESPNetConfig",
    "biopsy": "wsi_seg.models.biopsy_config:BiopsyConfig",
    ONNX: "wsi_seg.models.onnx.onnx_config:OnnxConfig",
}
"""Configs that can be read without PyTorch, which takes more time to import than all else together."""

LARGEST_MULTIPLE, LARGEST_STRIDE = 64, 32
"""Patches of slides, and the positions of their cores, are multiples of this (`wsi_seg.slides.lattice`)."""

_found: dict[str, type[Network]] = {}
_registered: dict[str, type[Network]] = {}


class _Offer(NamedTuple):
    """A package that offers a network of a name."""

    package: str
    module: str
    load: Callable[[], object]


def register_network(name: str, network: type[Network]) -> None:
    """Register a network under a name in this process; a package does so permanently by an entry point.

    Parameters
    ----------
    name : str
    network : type of Network

    Raises
    ------
    ModelError
        If there is another network of that name, or this is not a network.
    """
    if _registered.get(name) is network:
        return
    if offers := _offers(name):
        raise _several(name, [*offers, _Offer(HERE, network.__module__, lambda: network)])
    _registered[name] = _checked(name, HERE, network)


def network_names() -> tuple[str, ...]:
    """Return the names of all installed networks, without importing them."""
    others = sorted({*(entry.name for entry in _offered()), *_registered} - BUILT_IN.keys())
    return (*BUILT_IN, *others)


def find_network(name: str) -> type[Network]:
    """Return the class of the network with this name.

    Raises
    ------
    ModelError
        If no installed package offers it, several do, or it cannot be loaded.
    """
    if name not in _found:
        offers = _offers(name)
        if not offers:
            raise ModelError(
                f"a network that this wsi-seg does not know ({shortened(name)}): upgrade wsi-seg, or install "
                "the package that has it"
            )
        if len(offers) > 1:
            raise _several(name, offers)
        _found[name] = _loaded(name, offers[0])
    return _found[name]


def find_config(name: str) -> type[NetworkConfig]:
    """Return the type of the config of the network with this name, which is not imported if it need not be.

    Raises
    ------
    ModelError
        As by `find_network`.
    """
    if name not in _found and name in CONFIGS and len(_offers(name)) == 1:
        kind: type[NetworkConfig] = _named(CONFIGS[name])
        return kind
    return find_network(name).config_type


def name_of(config: NetworkConfig) -> str:
    """Return the name of the network that a config belongs to.

    Raises
    ------
    ModelError
        If that network is not registered.
    """
    kind = type(config)
    near = ((name, find_network(name)) for name in _near(kind.__module__))
    for name, network in chain((_found | _registered).items(), near):
        if network.config_type is kind:
            return name
    raise ModelError(
        f"{kind.__qualname__} is of no registered network: register its class by an entry point of the group "
        f"{GROUP}, or by wsi_seg.models.registry.register_network"
    )


def _near(module: str) -> list[str]:
    """Return the names of the networks in a module's package, those of the nearest modules first."""
    homes = {name: where.partition(":")[0] for name, where in BUILT_IN.items()}
    package = module.partition(".")[0]
    if package != __name__.partition(".")[0]:
        homes = {entry.name: entry.module for entry in _offered()}
    same = [name for name, home in homes.items() if home.partition(".")[0] == package]
    return sorted(same, key=lambda name: -_shared(homes[name], module))


def _shared(module: str, other: str) -> int:
    """Return how many packages two modules are both in, counting a module as its own innermost one."""
    parts = zip(module.split("."), other.split("."), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], parts))


def _offers(name: str) -> list[_Offer]:
    offers = [
        _Offer(entry.dist.name if entry.dist else "an unnamed package", entry.module, entry.load)
        for entry in _offered()
        if entry.name == name
    ]
    if name in _registered:
        network = _registered[name]
        offers.insert(0, _Offer(HERE, network.__module__, lambda: network))
    if name in BUILT_IN:
        where = BUILT_IN[name]
        offers.insert(0, _Offer(OURS, where.partition(":")[0], lambda: _named(where)))
    return offers


def _offered() -> tuple[EntryPoint, ...]:
    """Return the networks of other packages: looked for once, as that reads a file of every package."""
    return _offered_in(tuple(sys.path))


@lru_cache(maxsize=1)
def _offered_in(_: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))


def _named(where: str) -> Any:
    """Import what a name in a module means."""
    module, _, attribute = where.partition(":")
    return getattr(import_module(module), attribute)


def _several(name: str, offers: list[_Offer]) -> ModelError:
    packages = " and ".join(offer.package for offer in offers)
    return ModelError(f"the network {name!r} is offered by {packages}: uninstall all of these but one")


def _loaded(name: str, offer: _Offer) -> type[Network]:
    try:
        network = offer.load()
    except Exception as error:  # whatever another package's code raises
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise ModelError(
            f"the network {name!r} of {offer.package} cannot be loaded ({shortened(said)}): repair it"
        ) from error
    return _checked(name, offer.package, network)


def _checked(name: str, package: str, network: object) -> type[Network]:
    """Check that an object is a network, so that its users need not."""
    from wsi_seg.models.network import Network

    fault = _fault_of(network)
    if fault or not (isinstance(network, type) and issubclass(network, Network)):
        raise ModelError(f"the network {name!r} of {package} cannot be used: {fault}")
    for other, known in (_found | _registered).items():
        if known.config_type is network.config_type and other != name:
            raise ModelError(
                f"the networks {other!r} and {name!r} have one config_type: give each its own, as "
                "networks are identified by it"
            )
    return network


def _fault_of(network: object) -> str:
    from wsi_seg.models.network import Network

    if not (isinstance(network, type) and issubclass(network, Network)):
        return "it is no class that derives from wsi_seg.models.network.Network"
    config = getattr(network, "config_type", None)
    if not (isinstance(config, type) and issubclass(config, NetworkConfig)):
        return "its config_type is no dataclass that derives from wsi_seg.models.network.NetworkConfig"
    if "__dataclass_fields__" not in vars(config):
        return f"{config.__qualname__} lacks the decorator @dataclass(frozen=True)"
    own = [field for field in fields(config) if field.name != "classes"]
    if bare := [f.name for f in own if f.default is MISSING and f.default_factory is MISSING]:
        return f"{config.__qualname__}.{bare[0]} has no default, as every field but classes needs one"
    if any(field.name == "name" for field in own):
        return f"{config.__qualname__} has a field called name, which is the network's in recipes"
    return ""
