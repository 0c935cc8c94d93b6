"""From the paths on the command line to sources and a split."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.data.dataset import dataset_splits, read_splits
from wsi_seg.data.pairs import is_data_set, read_pairs
from wsi_seg.data.sources import IGNORE
from wsi_seg.data.truth import TruthSettings
from wsi_seg.errors import AnnotationError, UsageError
from wsi_seg.models.classes import load_schema
from wsi_seg.training.data.class_extents import extents, tells_nothing
from wsi_seg.training.data.split import FEWEST_SLIDES, by_blocks, by_group, given, nothing_held_out
from wsi_seg.training.data.survey import survey_all
from wsi_seg.training.data.training_data import TrainingData

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsi_seg.data.sources import Source
    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.training.data.split import Split
    from wsi_seg.training.data.survey import Survey
    from wsi_seg.training.recipe import DataRecipe, Recipe

FEWEST_IMAGES = 5
TILE_MARK = "_x"
"""In a tile's name, this separates the slide's name from the place where the tile was cut."""

TOO_LITTLE = "a part of so few outlines could not tell how well any class is found"
TOO_CLOSE = "no part has every class and leaves every class to train on"
"""Why everything is trained on, where `auto` may choose."""


@dataclass(frozen=True)
class DataRequest:
    """The data that the user names.

    Attributes
    ----------
    paths : tuple of Path or str
        As `wsi_seg.data.pairs.read_pairs` takes them, or one folder with a data set.
    truth : TruthSettings
        The class of pixels that nobody outlined.
    mpp : float or None
        Micrometres per slide pixel, where the slides do not say.
    working_mpp : float or None
        Resolution to train at; None takes the recipe's, or recommends one.
    allow_coarser : bool
        Accept slides that are coarser than that.
    from_level_0 : bool
        Always read level 0, and none of the coarser levels in a file.
    series : int or None
        Index of the image in each slide file; None takes the largest one in colour.
    schema : ClassSchema or None
        Classes of a network whose outputs are fixed; None takes the recipe's, or the data's own.
    """

    paths: tuple[Path | str, ...]
    truth: TruthSettings = field(default_factory=TruthSettings)
    mpp: float | None = None
    working_mpp: float | None = None
    allow_coarser: bool = False
    from_level_0: bool = False
    series: int | None = None
    schema: ClassSchema | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """What `paths` name."""
        return tuple(Path(path) for path in self.paths)


def open_data(
    request: DataRequest, recipe: Recipe, default_mpp: float | None, megapixels: float = math.inf
) -> TrainingData:
    """Open and check all data, and decide what is kept out of training.

    Parameters
    ----------
    request : DataRequest
    recipe : Recipe
    default_mpp : float or None
        Working resolution if neither the request nor the recipe names one: that of the model to start from.
    megapixels : float
        How many megapixels the training sees in its time; if they are few, a coarser resolution is
        recommended.

    Raises
    ------
    UsageError, AnnotationError, SlideError
        If anything is wrong with the data: one line that names it.
    """
    schema = load_schema(recipe.data.classes) if recipe.data.classes else request.schema
    if is_data_set(request.files):
        _refuse_for_images(request)
        return _images(request.files[0], schema, recipe)
    return _slides(request, schema, recipe, default_mpp, megapixels)


def _slides(
    request: DataRequest,
    schema: ClassSchema | None,
    recipe: Recipe,
    default_mpp: float | None,
    megapixels: float,
) -> TrainingData:
    from wsi_seg.annotations.annotation_files import AnnotationFiles
    from wsi_seg.data.annotated_slides import SlideReading, open_labelled_slides
    from wsi_seg.data.working_mpp import Outlined
    from wsi_seg.slides.resolution import check_mpp

    if recipe.model.config(2).diagnoses is not None:
        raise UsageError("slides have no diagnoses to learn: leave them out, --set model.diagnoses=null")
    if recipe.data.sampling == "whole":
        raise UsageError("training on slides uses patches: give a recipe with data.sampling=patches")
    check_mpp(request.mpp, request.working_mpp)
    pairs, remarks = read_pairs(request.files, request.mpp, request.series)
    files = AnnotationFiles()
    mpp = request.working_mpp or recipe.data.mpp or default_mpp
    if mpp is None:
        outlined = Outlined.on(pairs, request.mpp, request.truth, files, request.series)
        mpp = outlined.recommended_mpp(megapixels)
        remarks += (outlined.why(megapixels),)
    reading = SlideReading(request.mpp, request.allow_coarser, request.from_level_0, request.series)
    schema, slides = open_labelled_slides(pairs, schema, mpp, request.truth, reading, files)
    surveys = survey_all(slides)
    names = [f"{i}: {slide.name}" for i, slide in enumerate(slides)]
    split = _split(slides, surveys, names, len(schema), recipe, FEWEST_SLIDES)
    remarks += tuple(remark for slide in slides for remark in slide.remarks)
    beyond = _beyond(schema, request.truth.rest)
    read_from = tuple(f"{slide.name}: {slide.level}" for slide in slides)
    data = TrainingData(schema, tuple(slides), surveys, split, mpp, remarks, beyond, read_from)
    if recipe.data.validation == "auto" and any(split.held_out) and tells_nothing(extents(data)):
        split = nothing_held_out(slides, TOO_LITTLE)
    copies = [f"{copy} of {slide.path}" for slide in slides for copy in slide.copies]
    return replace(data, split=split.with_copies(copies))


def _beyond(schema: ClassSchema, rest: str | None = None) -> int:
    name = schema.background or rest
    index = None if name is None else schema.index_of(name)
    return IGNORE if index is None else index


def _refuse_for_images(request: DataRequest) -> None:
    """Refuse settings that have no effect on images with masks, so that nobody relies on them."""
    settings = {
        "--rest": request.truth.rest,
        "--roi-class": request.truth.roi_class,
        "--mpp": request.mpp,
        "--working-mpp": request.working_mpp,
        "--allow-coarser": request.allow_coarser or None,
        "--from-level-0": request.from_level_0 or None,
        "--series": request.series,
    }
    named = [option for option, value in settings.items() if value is not None]
    if named:
        raise UsageError(f"{', '.join(named)}: has no effect on images with masks: leave it out")


def _images(folder: Path, schema: ClassSchema | None, recipe: Recipe) -> TrainingData:
    splits = dataset_splits(folder, schema)
    # VOC's extended set is often there as `trainaug` alone.
    wanted = [split for split in splits if split.startswith("train")][:1]
    if not wanted:
        raise UsageError(
            f"{folder}: nothing to train on: it has {', '.join(splits) or 'no split'}, but no list or folder "
            "named train"
        )
    if recipe.data.validation in ("auto", "given") and "val" in splits:
        wanted.append("val")
    elif recipe.data.validation == "given":
        raise UsageError(
            f"{folder}: has no split of its own: leave data.validation to auto, images or blocks"
        )
    train, *held_out = read_splits(folder, wanted, schema)
    sources: list[Source] = [source for part in (train, *held_out) for source in part.sources]
    remarks = check_diagnoses(folder, sources, recipe)
    surveys = survey_all(sources)
    if held_out:
        split = given(sources, len(train.sources))
    else:
        groups = [source.name.rpartition(TILE_MARK)[0] or source.name for source in sources]
        split = _split(sources, surveys, groups, len(train.schema), recipe, FEWEST_IMAGES)
    beyond = _beyond(train.schema)
    return TrainingData(train.schema, tuple(sources), surveys, split, train.mpp, remarks, beyond)


def check_diagnoses(folder: Path, sources: Sequence[Source], recipe: Recipe) -> tuple[str, ...]:
    """Describe which of the images' diagnoses will not be learned.

    Raises
    ------
    UsageError
        If diagnoses are to be learned and there are none, or some are too high.
    """
    wanted = recipe.model.config(2).diagnoses
    known = {source.diagnosis for source in sources if source.diagnosis is not None}
    if wanted is None:
        if len(known) < 2 or recipe.model.name != "biopsy":
            return ()
        return (f"diagnoses are not learned: to learn them, --set model.diagnoses={max(known) + 1}",)
    if not known:
        raise UsageError(
            f"{folder}: names no diagnoses: give them as numbers in the third column of train.txt, or train "
            "without them, --set model.diagnoses=null"
        )
    if max(known) >= wanted:
        raise UsageError(
            f"{folder}: diagnosis {max(known)} is not one of model.diagnoses={wanted}, numbered from 0: "
            f"--set model.diagnoses={max(known) + 1}"
        )
    return ()


def _split(
    sources: Sequence[Source],
    surveys: Sequence[Survey],
    groups: Sequence[str],
    classes: int,
    recipe: Recipe,
    fewest: int,
) -> Split:
    """Keep part of the data out of training, as the recipe says or as the data allow."""
    data: DataRecipe = recipe.data
    seed = recipe.training.seed
    wanted = data.validation
    if wanted == "none":
        return nothing_held_out(sources)
    whole_images = data.sampling == "whole"
    enough = whole_images or len(set(groups)) >= fewest
    if wanted in ("slides", "images") or (wanted == "auto" and enough):
        split = by_group(sources, surveys, groups, classes, data.validation_share, seed)
        if split is not None:
            return split
        if wanted != "auto" or whole_images:
            what, other = ("images", "none") if whole_images else (wanted, "blocks")
            raise AnnotationError(
                f"no choice of whole {what} gives every class pixels to train on and pixels to validate on: "
                f"give more {what}, or --set data.validation={other}"
            )
    split = by_blocks(sources, surveys, classes, data.validation_share, seed, data.patch)
    if split is not None:
        return split
    if wanted != "auto":
        raise UsageError(
            "the outlines are too few or too close to each other to keep a part with every class out for "
            "validation: outline more, or give --set data.validation=none"
        )
    return nothing_held_out(sources, TOO_CLOSE)
