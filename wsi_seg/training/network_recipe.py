"""The part `model` of a recipe: which network to train, and its settings."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    SerializeAsAny,
    create_model,
    field_validator,
    model_validator,
)

from wsi_seg.errors import UsageError, shortened
from wsi_seg.models.architecture import Architecture, architecture_of
from wsi_seg.models.registry import find_config, network_names

if TYPE_CHECKING:
    from wsi_seg.models.network import NetworkConfig, Stage

STRICT = ConfigDict(frozen=True, extra="forbid")

Count = Annotated[int, Field(ge=1)]


class NetworkRecipe(BaseModel):
    """A network by its name; `recipe_type` adds the settings of its config, all but the number of classes."""

    model_config = STRICT

    name: str

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        known = network_names()
        if name not in known:
            raise ValueError(f"{shortened(name)!r} is not one of {', '.join(map(repr, known))}")
        return name

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.config(2)  # raises an error for settings that do not fit together
        return self

    def config(self, classes: int) -> NetworkConfig:
        """Return the config of the network for a number of classes."""
        kind = find_config(self.name)
        settings = {f.name: getattr(self, f.name) for f in fields(kind) if f.name != "classes"}
        return kind(classes=classes, **settings)

    def architecture(self, classes: int, stage: Stage) -> Architecture:
        """Return the network of a stage for a number of classes.

        Raises
        ------
        UsageError
            If even the smallest network exceeds a limit.
        """
        return architecture_of(self.config(classes).at_stage(stage))


class ESPNetRecipe(NetworkRecipe):
    """An ESPNet, by its settings or by a budget.

    Attributes
    ----------
    max_parameters, max_macs : int or None
        Limits on the parameters of the network without its decoder, and on its multiply-accumulates at
        1024 x 512. If there is one, `block_width` (with ESP modules `q`) is the largest within it.
    """

    max_parameters: Count | None = None
    max_macs: Count | None = None

    def config(self, classes: int) -> NetworkConfig:
        """Return the config of the network for a number of classes.

        Raises
        ------
        UsageError
            If even the smallest network exceeds a limit.
        """
        from wsi_seg.models.budget import fit_to_budget
        from wsi_seg.models.espnet_config import ESPNetConfig

        config = super().config(classes)
        if self.max_parameters is None and self.max_macs is None:
            return config
        assert isinstance(config, ESPNetConfig)
        if "block_width" in self.model_dump(exclude_none=True):
            raise ValueError("max_parameters and max_macs determine block_width: give either these or that")
        try:
            fitted = fit_to_budget(config.at_stage("encoder"), self.max_parameters, self.max_macs)
        except ValueError as error:
            raise UsageError(f"recipe: model.max_parameters, model.max_macs: {error}") from error
        return replace(fitted, variant=config.variant)


@cache
def recipe_type(name: str) -> type[NetworkRecipe]:
    """Return the type of a recipe for the network of this name, with a field for each of its config's.

    Raises
    ------
    ModelError
        If the network cannot be loaded.
    """
    kind = find_config(name)
    hints = get_type_hints(kind, include_extras=True)
    settings: dict[str, Any] = {
        f.name: (
            hints[f.name],
            f.default if f.default_factory is MISSING else Field(default_factory=f.default_factory),
        )
        for f in fields(kind)
        if f.name != "classes"
    }
    base = ESPNetRecipe if name == "espnet" else NetworkRecipe
    return create_model(f"{kind.__name__}Recipe", __base__=base, name=(Literal[name], name), **settings)


def _of_its_network(value: object) -> NetworkRecipe:
    if isinstance(value, NetworkRecipe):
        return value
    name = value.get("name") if isinstance(value, dict) else None
    kind = recipe_type(name) if isinstance(name, str) and name in network_names() else NetworkRecipe
    return kind.model_validate(value)


ModelRecipe = Annotated[SerializeAsAny[NetworkRecipe], PlainValidator(_of_its_network)]


def default_recipe() -> NetworkRecipe:
    """Return the recipe of ESPNet as published."""
    return recipe_type("espnet").model_validate({"name": "espnet"})


def other_values(name: object) -> dict[str, object]:
    """Return the default values of another network's recipe, by name."""
    if isinstance(name, str) and name in network_names():
        return recipe_type(name).model_validate({"name": name}).model_dump()
    return {}
