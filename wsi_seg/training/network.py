"""The part `model` of a recipe: which network to train."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wsi_seg.errors import UsageError
from wsi_seg.models.architecture import (
    Architecture,
    BiopsyArchitecture,
    ESPNetArchitecture,
    architecture_of,
)
from wsi_seg.models.biopsy import BiopsyConfig
from wsi_seg.models.blocks import BlockName
from wsi_seg.models.budget import fit_to_budget
from wsi_seg.models.espnet import ESPNetConfig, Variant
from wsi_seg.models.layers import Activation
from wsi_seg.paper.networks.enet import ENetConfig
from wsi_seg.paper.networks.erfnet import ERFNetConfig
from wsi_seg.paper.networks.pspnet import PSPNetConfig
from wsi_seg.paper.networks.segnet import SegNetConfig

STRICT = ConfigDict(frozen=True, extra="forbid")

MAX_CLASSES = 200
Count = Annotated[int, Field(ge=1)]

Stage = Literal["encoder", "full"]


class ESPNetRecipe(BaseModel):
    """Which ESPNet to train; the values are those of `wsi_seg.models.espnet.ESPNetConfig`, and a budget.

    Attributes
    ----------
    variant : {"A", "B", "C", "full"}
        "full" trains ESPNet-C in the stage "encoder" and ESPNet in the stage "full"; the others have the
        former stage only.
    max_parameters, max_macs : int or None
        Limits for the network without its decoder, its multiply-accumulates at 1024 x 512: where there is
        one, `block_width` (of ESP modules `q`) is the largest that keeps to it.
    """

    model_config = STRICT

    name: Literal["espnet"] = "espnet"
    p: Count = 2
    q: Count = 3
    branches: Count = 5
    variant: Variant = "full"
    decoder_width: Count | None = None
    decoder_skip: Literal["level1", "reinforced"] = "reinforced"
    block: Literal["esp", BlockName] = "esp"
    block_width: Count | None = None
    max_parameters: Count | None = None
    max_macs: Count | None = None
    down: Literal["block", "conv"] = "block"
    reduce: Literal[1, 3] = 1
    hff: bool = True
    residual: bool = True
    reinforce: bool | None = None
    activation: Activation = "prelu"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.block_width is not None and self._budgeted:
            raise ValueError("block_width is what follows from max_parameters and max_macs: give it or these")
        self.architecture(2, "full")  # which says what is wrong with settings that do not go together
        return self

    @property
    def _budgeted(self) -> bool:
        return self.max_parameters is not None or self.max_macs is not None

    def architecture(self, classes: int, stage: Stage) -> Architecture:
        """Return the network of a stage for so many classes.

        Raises
        ------
        UsageError
            If the smallest is over the budget.
        """
        encoder = "C" if self.variant == "full" else self.variant
        config = ESPNetConfig(
            classes=classes,
            p=self.p,
            q=self.q,
            branches=self.branches,
            variant=encoder,
            decoder_width=self.decoder_width,
            decoder_skip=self.decoder_skip,
            block=self.block,
            block_width=self.block_width,
            down=self.down,
            reduce=self.reduce,
            hff=self.hff,
            residual=self.residual,
            reinforce=self.reinforce,
            activation=self.activation,
        )
        if self._budgeted:
            try:
                config = fit_to_budget(config, self.max_parameters, self.max_macs)
            except ValueError as error:
                raise UsageError(f"recipe: model.max_parameters, model.max_macs: {error}") from error
        if stage == "full" and self.variant == "full":
            config = replace(config, variant="full")
        return ESPNetArchitecture(config=config)


class BiopsyRecipe(BaseModel):
    """The breast-biopsy network; the values are those of `wsi_seg.models.biopsy.BiopsyConfig`."""

    model_config = STRICT

    name: Literal["biopsy"] = "biopsy"
    block: Literal["esp", "residual"] = "esp"
    head_width: Count | None = None
    diagnoses: Annotated[int, Field(ge=2, le=MAX_CLASSES)] | None = None

    def architecture(self, classes: int, stage: Stage) -> Architecture:
        """Return the network for so many classes; it has one stage only."""
        config = BiopsyConfig(classes, self.diagnoses, self.block, self.head_width)
        return BiopsyArchitecture(config=config)


class ComparisonRecipe(BaseModel):
    """A network that ESPNet is compared with, as published (`wsi_seg.paper.networks`)."""

    model_config = STRICT

    name: Literal["enet", "erfnet", "segnet", "pspnet"]

    def architecture(self, classes: int, stage: Stage) -> Architecture:
        """Return the network for so many classes; it has one stage only."""
        match self.name:
            case "enet":
                return architecture_of(ENetConfig(classes))
            case "erfnet":
                return architecture_of(ERFNetConfig(classes))
            case "segnet":
                return architecture_of(SegNetConfig(classes))
            case "pspnet":
                return architecture_of(PSPNetConfig(classes))


ModelRecipe = Annotated[ESPNetRecipe | BiopsyRecipe | ComparisonRecipe, Field(discriminator="name")]


def other_values(name: object) -> dict[str, object]:
    """Return the values of a network that another one's mean nothing to."""
    recipes = {"espnet": ESPNetRecipe(), "biopsy": BiopsyRecipe()}
    return recipes[name].model_dump() if isinstance(name, str) and name in recipes else {}
