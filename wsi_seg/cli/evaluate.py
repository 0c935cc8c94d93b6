"""`wsi-seg evaluate`: compare a model, or finished results, with masks or annotations."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsi_seg.cli import signals
from wsi_seg.cli.terminal import say_lines

if TYPE_CHECKING:
    from wsi_seg.api.evaluating import ModelTrial
    from wsi_seg.evaluation.evaluation import Evaluation
    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.progress import Progress

images = partial(typer.Option, rich_help_panel="Images with masks")
slides = partial(typer.Option, rich_help_panel="Slides with annotations")
running = partial(typer.Option, rich_help_panel="How it runs")

_Options = dict[str, object]


def evaluate(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|RESULT",
            help="A model file, the name of a built-in model, or a result folder of `wsi-seg predict`.",
            show_default=False,
        ),
    ],
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA",
            help="For a model: the folder of a data set, or SLIDE ANNOTATIONS [SLIDE ANNOTATIONS ...], or a "
            "QuPath project and a folder of outlines, or a CSV file (slide,annotations[,mpp]). "
            "For a result: ANNOTATIONS [RESULT ANNOTATIONS ...].",
            show_default=False,
        ),
    ],
    classes: Annotated[
        str | None,
        typer.Option(
            help="Classes to compare: a schema's name or a YAML file. A class with aliases there combines "
            "several classes of the model. [default: the data set's, else the model's]"
        ),
    ] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write everything to a JSON file as well.")
    ] = None,
    split: Annotated[
        str | None, images(help="Part of the data set: train, val, test. [default: val]")
    ] = None,
    submission: Annotated[
        Path | None, images(metavar="DIR", help="Write a submission for the servers of Cityscapes or VOC.")
    ] = None,
    rest: Annotated[
        str | None,
        slides(metavar="CLASS", help="Class of all tissue that is not outlined; otherwise it is unknown."),
    ] = None,
    roi_class: Annotated[
        str | None,
        slides(metavar="CLASS", help="Class of shapes inside which everything is outlined."),
    ] = None,
    mpp: Annotated[
        float | None, slides(help="The slides' um per pixel, if a file states none or a wrong one.")
    ] = None,
    working_mpp: Annotated[
        float | None, slides(help="Segment at this um per pixel, not the model's.")
    ] = None,
    allow_coarser: Annotated[
        bool, slides("--allow-coarser", help="Take slides coarser than the model's mpp too.")
    ] = False,
    from_level_0: Annotated[
        bool, slides("--from-level-0", help="Read level 0, not the coarser levels in the files: slower.")
    ] = False,
    series: Annotated[
        int | None, slides(min=0, help="Which image of the slide files, as `info` numbers them.")
    ] = None,
    device: Annotated[str | None, running(help="auto, cpu, cuda or cuda:N. [default: auto]")] = None,
    precision: Annotated[str | None, running(help="float32, bfloat16 or float16. [default: float32]")] = None,
    compile_: Annotated[
        str | None, running("--compile", help="Run compiled: auto, yes, no or amx. [default: auto]")
    ] = None,
    quiet: Annotated[bool, running("--quiet", "-q", help="Show nothing but errors and the tables.")] = False,
) -> None:
    """Compare a model, or finished results, with the known classes.

    Prints IoU, Dice, precision and recall of each class, mean IoU, accuracies and the confusion matrix, all
    from one count over the whole set. Only pixels of known class count, and slides are segmented only where
    they are annotated.

    Examples
    --------
        wsi-seg evaluate my-model.safetensors slide.svs drawn.geojson --rest Stroma

        wsi-seg evaluate my-model.safetensors test-slides.csv --json scores.json

        wsi-seg evaluate results/slide drawn.geojson

        wsi-seg evaluate espnet.safetensors /data/cityscapes --submission to-send
    """
    from wsi_seg.cli.display import shown
    from wsi_seg.data.pairs import is_data_set
    from wsi_seg.data.truth import TruthSettings
    from wsi_seg.files.files import check_writable
    from wsi_seg.models.classes import load_schema
    from wsi_seg.results.folder import is_result

    of_images: _Options = {"--split": split, "--submission": submission}
    of_truth: _Options = {"--rest": rest, "--roi-class": roi_class}
    of_slides: _Options = {
        "--mpp": mpp,
        "--working-mpp": working_mpp,
        "--allow-coarser": allow_coarser or None,
        "--from-level-0": from_level_0 or None,
        "--series": series,
    }
    how: _Options = {
        name: value for name, value in (("precision", precision), ("compile", compile_)) if value is not None
    }
    of_models: _Options = {"--device": device, "--precision": precision, "--compile": compile_}
    if not is_result(Path(subject)) and not is_data_set(data):
        _refuse(of_images, "slides")
        _there(data[0])
    signals.working()
    if json_path is not None:
        check_writable(json_path)
    schema = load_schema(classes) if classes else None
    truth = TruthSettings(rest=rest, roi_class=roi_class)
    with shown(1, quiet) as progress:
        if is_result(Path(subject)):
            from wsi_seg.evaluation.on_results import evaluate_results

            _refuse(of_images | of_slides | of_models, "finished results")
            evaluation = evaluate_results(_result_pairs(subject, data), schema, truth, progress)
        elif is_data_set(data):
            _refuse(of_truth | of_slides, "images with masks")
            trial = _trial(subject, schema, device or "auto", how, progress)
            evaluation = trial.on_images(data[0], split or "val", submission)
        else:
            labels: _Options = {
                "mpp": mpp,
                "working_mpp": working_mpp,
                "allow_coarser": allow_coarser,
                "from_level_0": from_level_0,
                "series": series,
            }
            trial = _trial(subject, schema, device or "auto", labels | how, progress)
            evaluation = trial.on_slides(data, truth)
    _print(evaluation, json_path)


def _refuse(options: _Options, data: str) -> None:
    """Refuse options that have no effect on such data, so that nobody relies on them."""
    from wsi_seg.errors import UsageError

    given = [option for option, value in options.items() if value is not None]
    if given:
        raise UsageError(f"{', '.join(given)}: has no effect on {data}: leave it out")


def _there(data: Path) -> None:
    from wsi_seg.errors import MissingError

    if not data.exists():
        raise MissingError(
            f"{data}: does not exist: give a data set's folder, SLIDE ANNOTATIONS, or a CSV file"
        )


def _result_pairs(subject: str, data: list[Path]) -> list[tuple[Path, Path]]:
    from wsi_seg.errors import UsageError
    from wsi_seg.results.folder import is_result

    paths = [Path(subject), *data]
    pairs = list(zip(paths[::2], paths[1::2], strict=False))
    if len(paths) % 2 or not all(is_result(result) for result, _ in pairs):
        raise UsageError(f"{subject}: is a result: give RESULT ANNOTATIONS for each result")
    return pairs


def _trial(
    model: str,
    schema: ClassSchema | None,
    device: str,
    labels: _Options,
    progress: Progress,
) -> ModelTrial:
    """Load a model that is to be evaluated."""
    from pydantic import ValidationError

    from wsi_seg.errors import UsageError, explain
    from wsi_seg.models.lookup import resolve_model

    path = resolve_model(model)
    import torch

    from wsi_seg.api.evaluating import ModelTrial  # only now, as PyTorch takes seconds to import
    from wsi_seg.inference.network.devices import choose_device
    from wsi_seg.models.bundle import load_bundle
    from wsi_seg.settings import LabelSettings, PredictSettings

    try:
        settings = PredictSettings(model=model, labels=LabelSettings.model_validate(labels))
    except ValidationError as error:
        remedy = "see `wsi-seg evaluate --help`"
        raise UsageError(f"--{explain(error).replace('_', '-', 1)}: {remedy}") from error
    return ModelTrial(load_bundle(path), schema, torch.device(choose_device(device)), settings, progress)


def _print(evaluation: Evaluation, json_path: Path | None) -> None:
    from wsi_seg.evaluation.tables import as_json, as_text
    from wsi_seg.files.files import write_text

    if json_path is not None:
        details = {**evaluation.details, "command": shlex.join(["wsi-seg", *sys.argv[1:]])}
        write_text(json_path, as_json(replace(evaluation, details=details)))
    say_lines(as_text(evaluation))
