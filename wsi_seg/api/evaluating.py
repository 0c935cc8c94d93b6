"""Compare a model, or finished results, with masks or annotations."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from shlex import quote
from typing import TYPE_CHECKING

import torch

from wsi_seg.api.arguments import AnyPath, checked, flag_of, image_of, listener_of, path_of, shown, text_of
from wsi_seg.api.model import Model, as_model
from wsi_seg.api.pair_paths import paths_of
from wsi_seg.api.result import Result
from wsi_seg.api.scores import Scores
from wsi_seg.data.annotated_slides import SlideReading, open_labelled_slides
from wsi_seg.data.dataset import read_dataset
from wsi_seg.data.pairs import is_data_set, read_pairs
from wsi_seg.data.truth import TruthSettings
from wsi_seg.errors import UsageError
from wsi_seg.evaluation.benchmarks import open_submission
from wsi_seg.evaluation.on_images import evaluate_images
from wsi_seg.evaluation.on_results import evaluate_results
from wsi_seg.evaluation.on_slides import evaluate_slides
from wsi_seg.evaluation.tables import as_text
from wsi_seg.inference.network.devices import choose_device
from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.models.classes import load_schema
from wsi_seg.predict.working_resolution import working_mpp
from wsi_seg.progress import Progress
from wsi_seg.results.folder import is_result
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from wsi_seg.api.pair_paths import Pairs
    from wsi_seg.evaluation.evaluation import Evaluation
    from wsi_seg.inference.network.choice import Compile, Precision
    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.models.classes import ClassSchema


@dataclass(frozen=True)
class ModelTrial:
    """A model to be evaluated, with the settings for it.

    Attributes
    ----------
    bundle : ModelBundle
    schema : ClassSchema or None
        Classes to compare by; None takes the data set's, else the model's.
    device : torch.device
    settings : PredictSettings
    progress : Progress
    """

    bundle: ModelBundle
    schema: ClassSchema | None
    device: torch.device
    settings: PredictSettings
    progress: Progress

    def on_images(self, folder: Path, split: str, submission: Path | None = None) -> Evaluation:
        """Evaluate it on a data set of images with masks; write a submission for a server if asked.

        Raises
        ------
        WsiSegError
            If the data set, the model or the device fails.
        """
        dataset = read_dataset(folder, split, self.schema, otherwise=self.bundle.schema)
        writer = open_submission(dataset.kind, submission, dataset.schema) if submission else None
        labels = self.settings.labels
        segmenter = Segmenter(self.bundle, self.device, labels.precision, labels.compile)
        evaluation = evaluate_images(dataset, self.bundle, segmenter, self.progress, writer)
        if writer is not None:
            count = len(dataset.sources)
            self.progress.say(f"{writer.close()}: {count} image{'s' * (count != 1)} to submit to the server")
        return evaluation

    def on_slides(self, data: Sequence[Path], truth: TruthSettings) -> Evaluation:
        """Evaluate it on slides with annotations, given as on the command line.

        Raises
        ------
        WsiSegError
            If a slide, the annotations, the model or the device fails.
        """
        labels = self.settings.labels
        pairs, left_out = read_pairs(data, labels.mpp, labels.series)
        schema, slides = open_labelled_slides(
            pairs,
            self.schema or self.bundle.schema,
            working_mpp(self.bundle, labels),
            truth,
            SlideReading(labels.mpp, labels.allow_coarser, labels.from_level_0, labels.series),
        )
        evaluation = evaluate_slides(slides, schema, self.bundle, self.device, self.settings, self.progress)
        return replace(evaluation, remarks=(*left_out, *self._as_trained(truth), *evaluation.remarks))

    def _as_trained(self, truth: TruthSettings) -> Iterator[str]:
        """Say that the model learned a class for tissue that nobody outlined, if none is given here."""
        rest = self.bundle.rest
        if rest is not None and truth == TruthSettings():
            yield (
                f"the model was trained with --rest {quote(rest)}: give it here too if all tissue that is "
                "not outlined is of that class; only outlined pixels are counted now"
            )


def evaluate(
    subject: Model | Result | AnyPath,
    data: Pairs | Iterable[AnyPath],
    *,
    classes: AnyPath | None = None,
    split: str | None = None,
    rest: str | None = None,
    roi_class: str | None = None,
    mpp: float | None = None,
    working_mpp: float | None = None,
    allow_coarser: bool = False,
    from_level_0: bool = False,
    series: int | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    compile: Compile = "auto",  # noqa: A002
    progress: Progress | None = None,
) -> Scores:
    """Compare a model, or a finished result, with annotations or masks.

    Only pixels of known class count. Slides are segmented only in their annotated parts.

    Parameters
    ----------
    subject : Model, Result, str or path
        A model, or the name or file of one; or a result, or its folder.
    data : sequence of (slide, annotations), or str or path
        For a model: slides with their annotation files, QuPath projects with folders of outlines exported
        from them, a CSV file (slide,annotations[,mpp]), or the folder of a data set. For a result: its
        annotation file, or several.
    classes : str or path, optional
        Classes to compare by: a schema's name or YAML file. A class with aliases combines several classes of
        the model.
    split : str, optional
        Part of a data set: train, val (by default) or test.
    rest, roi_class : str, optional
        As for `wsi_seg.train`.
    mpp, working_mpp, allow_coarser, from_level_0, series, device, precision, compile
        As for `wsi_seg.segment`; not for a result.
    progress : Progress, optional
        A `wsi_seg.progress.Progress` that receives the progress.

    Returns
    -------
    Scores
        It has ``mean_iou``, scores by class such as ``iou``, and ``confusion``. `print` shows the table of
        `wsi-seg evaluate`.

    Raises
    ------
    WsiSegError
        One line that says what is wrong and what to do.
    """
    schema = None if classes is None else load_schema(text_of("classes", classes))
    truth = checked(TruthSettings, {"rest": rest, "roi_class": roi_class})
    reading = {"mpp": mpp, "working_mpp": working_mpp, "series": image_of(series)}
    for name, flag in (("allow_coarser", allow_coarser), ("from_level_0", from_level_0)):
        reading[name] = flag_of(name, flag) or None
    hears = listener_of(Progress, progress)
    checked(RunSettings, {"device": device})
    result = _result_of(subject)
    if result is not None:
        _refuse({**reading, "split": split}, "a finished result")
        pairs = [(result, path) for path in _annotations(data)]
        return _scores(evaluate_results(pairs, schema, truth, hears))
    paths = paths_of(data)  # type: ignore[arg-type]  # of a model, pairs
    on_images = is_data_set(paths)
    if on_images:
        _refuse({**reading, "rest": rest, "roi_class": roi_class}, "images with masks")
    else:
        _refuse({"split": split}, "slides")
    assert not isinstance(subject, Result)  # handled above
    model = as_model(subject)
    given = {name: value for name, value in reading.items() if value is not None}
    labels = checked(LabelSettings, {**given, "precision": precision, "compile": compile})
    settings = PredictSettings(model=model.named, labels=labels)
    trial = ModelTrial(model.bundle, schema, torch.device(choose_device(device)), settings, hears)
    return _scores(trial.on_images(paths[0], split or "val") if on_images else trial.on_slides(paths, truth))


def _scores(evaluation: Evaluation) -> Scores:
    away = None if evaluation.away is None else evaluation.away.away
    return Scores(evaluation.names, evaluation.total.confusion, evaluation.remarks, as_text(evaluation), away)


def _result_of(subject: Model | Result | AnyPath) -> Path | None:
    """Return the folder of a result if the subject is a result or the path of one, else None."""
    if isinstance(subject, Result):
        return subject.path
    if isinstance(subject, Model):
        return None
    path = path_of(subject)
    return path if is_result(path) else None


def _annotations(data: Pairs | Iterable[AnyPath]) -> list[Path]:
    """Return the annotation files for one result.

    Raises
    ------
    UsageError
        If there are none, or slides are given with them.
    """
    if isinstance(data, str | bytes | os.PathLike):
        return [path_of(data)]
    files = list(data) if isinstance(data, Iterable) else []
    if not files or not all(isinstance(file, str | bytes | os.PathLike) for file in files):
        raise UsageError(
            f"{shown(data)}: of a result, give its annotation file, or a list of several, without slides"
        )
    return [path_of(file) for file in files]  # type: ignore[arg-type]  # each is one


def _refuse(arguments: dict[str, object], data: str) -> None:
    """Refuse arguments that have no effect on such data, so that nobody relies on them."""
    given = [f"{name}={shown(value)}" for name, value in arguments.items() if value is not None]
    if given:
        raise UsageError(f"{', '.join(given)}: has no effect on {data}: leave it out")
