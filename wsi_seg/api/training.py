"""Train a model on slides with outlines, or on images with masks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from pydantic import ValidationError

from wsi_seg.api.arguments import (
    AnyPath,
    checked,
    flag_of,
    image_of,
    listener_of,
    number_of,
    path_of,
    text_of,
)
from wsi_seg.api.model import Model, load_model
from wsi_seg.api.pair_paths import paths_of
from wsi_seg.api.scores import Scores
from wsi_seg.data.truth import TruthSettings
from wsi_seg.errors import UsageError, explain
from wsi_seg.models.given import is_given, module_of
from wsi_seg.packages import ImportFault
from wsi_seg.pipelines import load_pipeline
from wsi_seg.progress import TrainingProgress
from wsi_seg.settings import RunSettings
from wsi_seg.training.changes import read_changes
from wsi_seg.training.recipe import Recipe, override

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from wsi_seg.api.pair_paths import Pairs
    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.training.changes import Changes
    from wsi_seg.training.report.limits import Limits
    from wsi_seg.training.request import TrainRequest
    from wsi_seg.training.train_model import Trained


@dataclass(frozen=True)
class Training:
    """The result of a training, as `wsi_seg.train` returns it.

    Attributes
    ----------
    model : Model
    report : Path
        A page with curves, scores and examples.
    scores : Scores
        Of the final model on everything that was kept out of the training, or trained on where nothing was.
    scored : str
        What the model was scored on, in words.
    seconds : float
        Time of the training, including validations.
    limits : Limits
        How far the scores can be trusted, and what more time would give.
    """

    model: Model
    report: Path
    scores: Scores
    scored: str
    seconds: float
    limits: Limits


@dataclass(frozen=True)
class TrainOptions:
    """The options of a training, named as those of `wsi-seg train`.

    Attributes
    ----------
    data : tuple of Path
        As on the command line.
    settings : sequence of str, or mapping
        The arguments of `--set`; or values by their names.
    command : str
        The command for the report.
    """

    data: tuple[Path, ...]
    out: Path
    pipeline: str = "quick"
    minutes: float | None = None
    rest: str | None = None
    roi_class: str | None = None
    classes: str | None = None
    mpp: float | None = None
    working_mpp: float | None = None
    allow_coarser: bool = False
    from_level_0: bool = False
    series: int | None = None
    init: str | None = None
    settings: Changes = ()
    given: ModelBundle | None = None
    device: str = "auto"
    resume: bool = False
    overwrite: bool = False
    command: str = "wsi_seg.train"

    @property
    def recipe(self) -> Recipe:
        """The pipeline's recipe, with the given changes.

        Raises
        ------
        UsageError
            If there is no such recipe, or a value is not valid.
        """
        number_of("minutes", self.minutes)
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise UsageError(f"--minutes {self.minutes:g}: no length of time: give minutes, such as 10")
        if self.minutes is not None and any(
            change.name == "training.epochs" and change.value is not None
            for change in read_changes(self.settings)
        ):
            raise UsageError(
                f"--minutes {self.minutes:g}: training.epochs is a length of the training, too: "
                "give one of them"
            )
        recipe = load_pipeline(self.pipeline).train
        if recipe is None:
            raise UsageError(
                f"pipeline {self.pipeline!r} trains nothing: use one with a part `train`, such as quick"
            )
        given = {"data.classes": self.classes, "training.minutes": self.minutes}
        given = {name: value for name, value in given.items() if value is not None}
        recipe = override(recipe, given, self.settings)
        return recipe if self.given is None else _with_network(recipe, self.given)

    def request(self) -> TrainRequest:
        """Return the request for the training.

        Raises
        ------
        UsageError
            If a value is not valid, or the packages for training are not installed.
        """
        recipe = self.recipe
        _check_packages()
        from wsi_seg.training.data.open_data import DataRequest
        from wsi_seg.training.request import TrainRequest

        return TrainRequest(
            data=DataRequest(
                paths=self.data,
                truth=checked(TruthSettings, {"rest": self.rest, "roi_class": self.roi_class}),
                mpp=self.mpp,
                working_mpp=self.working_mpp,
                allow_coarser=self.allow_coarser,
                from_level_0=self.from_level_0,
                series=image_of(self.series),
                schema=None if self.given is None else self.given.schema,
            ),
            recipe=recipe,
            out=self.out,
            init=self.init,
            given=self.given,
            device=self.device,
            resume=self.resume,
            overwrite=self.overwrite,
            command=self.command,
        )


def train(
    data: Pairs,
    *,
    out: AnyPath,
    pipeline: AnyPath = "quick",
    minutes: float | None = None,
    rest: str | None = None,
    roi_class: str | None = None,
    classes: AnyPath | None = None,
    mpp: float | None = None,
    working_mpp: float | None = None,
    allow_coarser: bool = False,
    from_level_0: bool = False,
    series: int | None = None,
    init: Model | AnyPath | None = None,
    settings: Sequence[str] | Mapping[str, object] = (),
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    progress: TrainingProgress | None = None,
) -> Training:
    """Train a model on regions outlined in QuPath, or on images with masks.

    It needs ``pip install 'wsi-seg[train]'``. The files are those that `wsi-seg train` writes.

    Parameters
    ----------
    data : sequence of (slide, annotations), or str or path
        Slides with their annotation files, or QuPath projects with folders of outlines exported from them;
        or a CSV file (slide,annotations[,mpp]), or a folder with images and masks.
    out : str or path
        Folder for the model, the report and the checkpoints.
    pipeline : str or path
        Recipe: the name of a shipped one, or a YAML file.
    minutes : float, optional
        How long to train, instead of the recipe's length.
    rest : str, optional
        Class of all tissue that is not outlined; without it, its class is unknown.
    roi_class : str, optional
        Class of shapes inside which everything is outlined.
    classes : str or path, optional
        Class schema: a shipped one's name, or a YAML file; by default the data's own.
    mpp : float, optional
        The slides' micrometres per pixel, if their files do not state them.
    working_mpp : float, optional
        Train at these micrometres per pixel; by default recommended from the data.
    allow_coarser, from_level_0 : bool
        As for `wsi_seg.segment`.
    series : int, optional
        Index of the image in each slide file, as `wsi-seg info` numbers them; by default the largest in
        colour.
    init : Model, str or path, optional
        Model to start from; by default the recipe's. Of a model made by `Model.from_torch`, the network
        itself is trained.
    settings : mapping, or sequence of str
        Changes to values of the recipe: ``{"training.epochs": 20}``, or ``["training.epochs=20"]``.
    device : str
    resume : bool
        Resume an interrupted training.
    overwrite : bool
        Delete an earlier training.
    progress : TrainingProgress, optional
        A `wsi_seg.progress.TrainingProgress` that receives the progress.

    Returns
    -------
    Training
        It has ``model``, ``report`` and ``scores``.

    Raises
    ------
    FinishedError
        If this very training is finished: load its model, or give ``overwrite=True``.
    WsiSegError
        One line that says what is wrong and what to do.
    """
    flags = {"allow_coarser": allow_coarser, "from_level_0": from_level_0}
    flags |= {"resume": resume, "overwrite": overwrite}
    for name, flag in flags.items():
        flag_of(name, flag)
    given = init.bundle if isinstance(init, Model) and is_given(init.bundle.network) else None
    options = TrainOptions(
        data=paths_of(data),
        out=path_of(out),
        pipeline=text_of("pipeline", pipeline),
        minutes=minutes,
        rest=rest,
        roi_class=roi_class,
        classes=None if classes is None else text_of("classes", classes),
        mpp=number_of("mpp", mpp),
        working_mpp=number_of("working_mpp", working_mpp),
        allow_coarser=allow_coarser,
        from_level_0=from_level_0,
        series=series,
        init=None if given else _named(init),
        given=given,
        settings=settings,
        device=device,
        resume=resume,
        overwrite=overwrite,
    )
    hears = listener_of(TrainingProgress, progress)
    checked(RunSettings, {"device": device})
    trained = run_training(options.request(), hears)
    network = None if given is None else module_of(given)
    model = load_model(trained.model, network=network)
    scores = Scores(tuple(c.name for c in model.classes), trained.confusion)
    return Training(model, trained.report, scores, trained.scored, trained.seconds, trained.limits)


def run_training(request: TrainRequest, progress: TrainingProgress | None) -> Trained:
    """Call `wsi_seg.training.train_model.train`, imported only here, as its packages are an extra."""
    from wsi_seg.training.train_model import train as run

    return run(request, progress)


def _with_network(recipe: Recipe, given: ModelBundle) -> Recipe:
    """Replace the recipe's network and its settings by those of a network that was given in Python."""
    architecture = given.architecture.model_dump()
    settings = {name: value for name, value in architecture["config"].items() if name != "classes"}
    try:
        return Recipe.model_validate(
            recipe.model_dump() | {"model": {"name": architecture["name"], **settings}}
        )
    except ValidationError as error:
        raise UsageError(f"recipe: {explain(error)}: change it with settings=") from error


def _named(init: Model | AnyPath | None) -> str | None:
    if init is None:
        return None
    return init.named if isinstance(init, Model) else text_of("init", init)


def _check_packages() -> None:
    """Check that the packages for training can be imported; they are an extra."""
    try:
        import_module("tensorboard")  # Lightning would miss it only when it logs
        import_module("wsi_seg.training.train_model")
    except Exception as error:  # a broken installation may raise anything
        fault = ImportFault.of(error, "train")
        raise UsageError(f"training needs {fault.package}, which {fault.says}") from error
