"""The recipe of a training: all of its settings, validated; each can be changed by itself.

A recipe is the part ``train`` of a file in ``pipelines/``; ``--set training.epochs=20`` changes one value.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, Field, JsonValue, ValidationError, model_validator

from wsi_seg.errors import UsageError, WsiSegError, explain
from wsi_seg.models.network import ENCODER_STRIDE, Stage
from wsi_seg.training.augment_recipe import AugmentSettings
from wsi_seg.training.changes import read_changes
from wsi_seg.training.network_recipe import STRICT, Count, ModelRecipe, default_recipe, other_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsi_seg.training.changes import Changes

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1)]
Side = Annotated[int, Field(ge=32, multiple_of=ENCODER_STRIDE)]


class DataRecipe(BaseModel):
    """How samples are drawn from the data.

    Attributes
    ----------
    classes : str or None
        Class schema, by name or as a YAML file; None takes the data set's own, or the classes that the
        annotations name.
    mpp : float or None
        Working resolution of slides in um per pixel; None recommends one from the data.
    sampling : {"patches", "whole"}
        Draw square patches, all classes equally often; or whole images, each once in an epoch.
    patch : int
        Side of a patch in pixels.
    sizes : tuple of (int, int)
        Widths and heights to which whole images are resized; an epoch has one pass over all images for each.
    input_size : (int, int) or None
        Size at which whole images are validated, and the input size of the model; None takes the first of
        `sizes`.
    validation : {"auto", "given", "slides", "blocks", "images", "none"}
        What is kept out of training: the data set's own split, whole slides, blocks of each slide, whole
        images; or nothing: then the scores are on the training data, and the report says so. "auto" takes
        the first of these that the data allow.
    validation_share : float
        Share of the data that is kept out, unless the data set has its own split.
    cache_mb : int
        Memory for decoded pixels, in MB for all processes together.
    """

    model_config = STRICT

    classes: str | None = None
    mpp: Positive | None = None
    sampling: Literal["patches", "whole"] = "patches"
    patch: Side = 256
    sizes: tuple[tuple[Side, Side], ...] = ()
    input_size: tuple[Side, Side] | None = None
    validation: Literal["auto", "given", "slides", "blocks", "images", "none"] = "auto"
    validation_share: Share = 0.2
    cache_mb: Annotated[int, Field(ge=0)] = 2048

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.sampling == "whole" and not self.sizes:
            raise ValueError("sampling whole images needs sizes, such as [[1024, 512]]")
        if self.sampling == "whole" and self.validation == "blocks":
            raise ValueError("blocks cannot be kept out of images that are trained on as a whole: use images")
        return self


class LossRecipe(BaseModel):
    """Cross-entropy over the pixels whose class is known, and the terms that are added to it.

    Attributes
    ----------
    class_weights : {"none", "log", "sqrt"}
        "log" weights a class that has the share p of the known pixels by ``1 / ln(1.10 + p)``, as the ESPNet
        authors do; "sqrt" by ``1 / sqrt(p)``, so that classes with few pixels can be learned.
    dice : float
        Weight of an additional soft Dice loss.
    diagnosis : float
        Weight of the cross-entropy over diagnoses of whole images, for a network that makes them.
    """

    model_config = STRICT

    class_weights: Literal["none", "log", "sqrt"] = "none"
    dice: NonNegative = 0.0
    diagnosis: NonNegative = 1.0


class OptimiserRecipe(BaseModel):
    """The optimiser, and the schedule of its learning rate.

    Attributes
    ----------
    name : {"adam", "adamw", "sgd"}
        "adam" adds the weight decay to the gradient, as PyTorch's Adam does; "adamw" decouples it.
    learning_rate : float
    betas : (float, float)
        Of Adam.
    momentum : float
        Of SGD.
    weight_decay : float
        "adamw" does not apply it to biases, normalisations and PReLU slopes.
    schedule : {"cosine", "step"}
        The rate falls to zero along a cosine over the whole stage; or is multiplied by `step_factor` every
        `step_epochs` epochs.
    warmup_steps : int
        Steps over which the rate rises linearly.
    clip_norm : float or None
        Largest norm of the gradient.
    """

    model_config = STRICT

    name: Literal["adam", "adamw", "sgd"] = "adamw"
    learning_rate: Positive = 2e-3
    betas: tuple[Share, Share] = (0.9, 0.999)
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: NonNegative = 1e-4
    schedule: Literal["cosine", "step"] = "cosine"
    step_epochs: Count = 100
    step_factor: Share = 0.5
    warmup_steps: Annotated[int, Field(ge=0)] = 50
    clip_norm: Positive | None = 5.0


class TrainingRecipe(BaseModel):
    """How long to train, in which stages, and on which devices.

    Attributes
    ----------
    minutes : float or None
        Time for all stages together, including validations. One of `minutes` and `epochs` is given.
    epochs : int or None
        Epochs of each stage.
    epoch_steps : int or None
        Steps in an epoch if patches are drawn; None: as many as cover the known pixels once, at most 500.
    init : str or None
        Model to start from if the user names none: a file, or a built-in model's name. None starts from
        random weights.
    stages : tuple of {"encoder", "full"}
        "encoder" trains the network without its decoder, on labels at 1/8; "full" attaches the decoder to the
        encoder trained before. The paper does both, in this order.
    batch_size : int
        Patches or images in a step, on each device.
    batch_parts : int
        Number of parts of a batch. Each is normalised by itself, and a CPU computes them in parallel: two
        networks on one core each are faster than one network on two.
    averaging : float or None
        Decay of a running average of the weights, which is validated and kept; None for no averaging.
    precision : {"auto", "float32", "bfloat16", "float16"}
        Precision of the network's arithmetic; "auto" is bfloat16 on devices that are fast in it.
    validations : int or None
        Validations in a stage; None: 10 in a stage with a time limit, else one after each epoch.
    early_stop : int or None
        Number of validations without a better mean IoU after which a stage ends. If it is given, the best
        weights are kept; but the last if too little is kept out to compare, and then nothing stops early.
    enough_steps : int or None
        Steps that the recipe needs, if that is known. A training with fewer steps reports it.
    devices : int
        GPUs to train on.
    workers : int or None
        Number of reading processes; None chooses: none on a CPU.
    seed : int
    """

    model_config = STRICT

    minutes: Positive | None = None
    epochs: Count | None = None
    epoch_steps: Count | None = None
    init: str | None = None
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)] = ("full",)
    batch_size: Count = 8
    batch_parts: Count = 1
    averaging: Share | None = 0.99
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    validations: Count | None = None
    early_stop: Count | None = None
    enough_steps: Count | None = None
    devices: Count = 1
    workers: Annotated[int, Field(ge=0)] | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.minutes is None) == (self.epochs is None):
            raise ValueError("give either minutes or epochs")
        if self.batch_size % self.batch_parts:
            raise ValueError(f"batch_parts is {self.batch_parts}: it has to divide batch_size")
        return self


class Recipe(BaseModel):
    """All settings that decide a trained model, apart from its data."""

    model_config = STRICT

    model: ModelRecipe = Field(default_factory=default_recipe)
    data: DataRecipe = DataRecipe()
    augment: AugmentSettings = AugmentSettings()
    loss: LossRecipe = LossRecipe()
    optimiser: OptimiserRecipe = OptimiserRecipe()
    training: TrainingRecipe

    @model_validator(mode="after")
    def _check(self) -> Self:
        stages = self.training.stages
        if self.optimiser.schedule == "step" and self.training.epochs is None:
            raise ValueError(
                "its learning rate falls by epochs, so minutes cannot be its length: give training.epochs=N "
                "without --minutes, or optimiser.schedule=cosine beside --minutes"
            )
        if self.data.sampling == "whole" and self.training.epoch_steps is not None:
            raise ValueError(
                "training.epoch_steps is for patches that are drawn: with data.sampling=whole an epoch is "
                "each image once: give training.epochs alone"
            )
        network = self.model.config(2)
        for stage in stages:
            if stage not in network.stages:
                own = ", ".join(network.stages)
                raise ValueError(
                    f"the {network.title} network has no {stage} stage: training.stages is [{own}]"
                )
        for what, side in self._sides():
            if side % network.multiple:
                raise ValueError(
                    f"{what} is {side}: the {network.title} network takes multiples of {network.multiple}"
                )
        oblong = any(width != height for width, height in self.data.sizes)
        if self.data.sampling == "whole" and oblong and self.augment.quarter_turns:
            raise ValueError("oblong images cannot be turned by quarters: set augment.quarter_turns to false")
        return self

    def _sides(self) -> Iterator[tuple[str, int]]:
        """Yield the sides of all images that the network will see, with the names of their settings."""
        if self.data.sampling == "patches":
            yield "data.patch", self.data.patch
        for name, sizes in (("sizes", self.data.sizes), ("input_size", (self.data.input_size or (),))):
            for size in sizes:
                for side in size:
                    yield f"data.{name}", side


def recorded(recipe: Recipe) -> dict[str, JsonValue]:
    """Return the part of a recipe that must be the same for a training to resume, for its record."""
    return recipe.model_dump(
        mode="json", exclude={"training": {"workers", "enough_steps"}, "data": {"cache_mb"}}
    )


def completed(record: JsonValue) -> JsonValue:
    """Return a recorded recipe with defaults for settings that did not exist when it was written.

    If it can no longer be read as a recipe, it is returned unchanged, and so differs from any other.
    """
    try:
        return recorded(Recipe.model_validate(record))
    except (ValidationError, WsiSegError):
        return record


def override(recipe: Recipe, *settings: Changes) -> Recipe:
    """Change single values of a recipe.

    Parameters
    ----------
    recipe : Recipe
    *settings : sequence of str, or mapping
        Each ``part.name=value``, the value as YAML: ``training.epochs=20``, ``data.sizes=[[512, 256]]``. Or
        values by ``part.name``. If a value is given several times, the last one counts.

    Raises
    ------
    UsageError
        If there is no such setting, or it cannot have that value.
    """
    values = recipe.model_dump()
    for change in chain.from_iterable(map(read_changes, settings)):
        part, _, name = change.name.partition(".")
        if part not in values or name not in values[part]:
            known = ", ".join(f"{part}.{name}" for name in values.get(part, ())) or ", ".join(
                f"{part}. ..." for part in values
            )
            raise UsageError(f"{change.given}: no such setting: {change.form} one of {known}")
        if change.name == "model.name":
            values["model"] = other_values(change.value)
        elif change.name in ("training.minutes", "training.epochs"):
            values["training"] |= {"minutes": None, "epochs": None}
        values[part][name] = change.value
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        how = "settings=" if isinstance(settings[-1], Mapping) else "--set"
        raise UsageError(f"recipe: {explain(error)}: change it with {how}") from error
