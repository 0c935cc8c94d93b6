"""A network's kind and shape in model files and recipes: a registered name, and a config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    FieldSerializationInfo,
    TypeAdapter,
    ValidationInfo,
    field_serializer,
    field_validator,
)

from wsi_seg.models.network_config import NetworkConfig
from wsi_seg.models.registry import LARGEST_MULTIPLE, LARGEST_STRIDE, find_config, find_network, name_of

if TYPE_CHECKING:
    from wsi_seg.models.network import Network


class Architecture(BaseModel):
    """A network's kind and shape.

    Attributes
    ----------
    name : str
        The name under which the network is registered.
    config : NetworkConfig
        A config of that network's own type; one from a file is validated against it.

    Raises
    ------
    ModelError
        If there is no such network, or it cannot be loaded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str
    config: NetworkConfig

    @field_validator("config", mode="plain")
    @classmethod
    def _of_its_network(cls, value: object, info: ValidationInfo) -> NetworkConfig:
        name = info.data.get("name")
        if not isinstance(name, str):
            raise ValueError("it is not known of which network this is the config")
        kind = find_config(name)
        config = _reader(kind).validate_python(value)
        if type(config) is not kind:
            raise ValueError(f"is not a config of the network {name}")
        for what, number, most in (
            ("sides are multiples of", config.multiple, LARGEST_MULTIPLE),
            ("output stride is", config.output_stride, LARGEST_STRIDE),
        ):
            if number < 1 or most % number:
                raise ValueError(f"the network's {what} {number}, which does not divide {most}")
        return config

    @field_serializer("config")
    def _as_document(self, config: NetworkConfig, info: FieldSerializationInfo) -> Any:
        return _reader(type(config)).dump_python(config, mode="json" if info.mode_is_json() else "python")


def _reader(kind: type[NetworkConfig]) -> TypeAdapter[NetworkConfig]:
    return TypeAdapter(kind)


def architecture_of(config: NetworkConfig) -> Architecture:
    """Return the kind of network that a config belongs to.

    Raises
    ------
    ModelError
        If its network is not registered.
    """
    return Architecture(name=name_of(config), config=config)


def build_network(architecture: Architecture) -> Network:
    """Make the network with random weights."""
    network: Network = find_network(architecture.name)(architecture.config)
    return network
