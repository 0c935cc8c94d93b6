"""A network's kind and shape as model files and recipes have them: a registered name, and its config."""

from __future__ import annotations

from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    FieldSerializationInfo,
    TypeAdapter,
    ValidationInfo,
    field_serializer,
    field_validator,
)

from wsi_seg.models.network import Network, NetworkConfig
from wsi_seg.models.registry import LARGEST_MULTIPLE, LARGEST_STRIDE, find_network, name_of


class Architecture(BaseModel):
    """A network's kind and shape.

    Attributes
    ----------
    name : str
        That the network is registered by.
    config : NetworkConfig
        Of that network's own type; from a file, checked as that type says.

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
            raise ValueError("what it is the config of is not known")
        kind = find_network(name).config_type
        config = _reader(kind).validate_python(value)
        if type(config) is not kind:
            raise ValueError(f"is not of the network {name}")
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
    """Name the kind of network that a shape belongs to.

    Raises
    ------
    ModelError
        If it belongs to none that is registered.
    """
    return Architecture(name=name_of(config), config=config)


def build_network(architecture: Architecture) -> Network:
    """Make the network with fresh weights."""
    network: Network = find_network(architecture.name)(architecture.config)
    return network
