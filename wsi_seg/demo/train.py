"""Train the demo model on generated tissue: ``python -m wsi_seg.demo.train``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path  # noqa: TC003 - typer reads it at run time
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
import typer

from wsi_seg.demo.course import CLASSES, Recipe, normalise, train
from wsi_seg.demo.fields import stream_fields
from wsi_seg.demo.score import Score
from wsi_seg.demo.tissue import GENERATOR_VERSION
from wsi_seg.models.bundle import WEIGHTS_FOLDER, Architecture, InputSpec, ModelHeader, save_bundle
from wsi_seg.models.classes import load_schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from pydantic import JsonValue

    from wsi_seg.models.espnet import ESPNet

NAME = "breast-demo"
NOTICE = "Demo model, trained on generated tissue. Not for diagnosis."

VALIDATION_SEED = 1_000_000
"""Slides from this seed on are never trained on."""

VALIDATION_FIELDS = 48


@torch.inference_mode()
def validate(
    network: ESPNet, spec: InputSpec, fields: Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]]
) -> Score:
    """Score a network on whole fields: one confusion matrix over all of them."""
    confusion = np.zeros((CLASSES, CLASSES), np.int64)
    for rgb, labels in fields:
        pixels = torch.from_numpy(rgb.astype(np.float32))[None].permute(0, 3, 1, 2)
        found = network(normalise(pixels, spec)).argmax(dim=1)[0].numpy()
        pairs = np.bincount(labels.ravel().astype(np.intp) * CLASSES + found.ravel(), minlength=CLASSES**2)
        confusion += pairs.reshape(CLASSES, CLASSES)
    return Score(confusion, unprocessed=0)


def describe(network: ESPNet, spec: InputSpec, recipe: Recipe, score: Score) -> ModelHeader:
    """Return what the model file says of itself; no date, so that the same training gives the same file."""
    schema = load_schema("breast-biopsy")
    iou: dict[str, JsonValue] = {
        c.name: round(float(v), 4) for c, v in zip(schema.classes, score.iou, strict=True)
    }
    validation: dict[str, JsonValue] = {
        "fields": VALIDATION_FIELDS,
        "first_seed": VALIDATION_SEED,
        "iou": iou,
        "mean_iou": round(score.mean_iou, 4),
        "pixel_accuracy": round(score.accuracy, 4),
    }
    return ModelHeader(
        name=NAME,
        architecture=Architecture(config=network.config),
        classes=schema,
        input=spec,
        notice=NOTICE,
        training={
            "data": "generated breast tissue (wsi_seg.demo)",
            "generator_version": GENERATOR_VERSION,
            "fields": recipe.fields,
            "recipe": json.loads(json.dumps(asdict(recipe))),
            "validation": validation,
            "torch": torch.__version__,
            "licence": "MIT",
        },
    )


def main(
    output: Annotated[Path, typer.Option("--output", "-o", help="The model file.")] = WEIGHTS_FOLDER
    / f"{NAME}.safetensors",
    steps: Annotated[
        int, typer.Option(help="Optimiser steps, each about 0.35 s of one core.")
    ] = Recipe.steps,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = Recipe.seed,
) -> None:
    """Train the demo model and write its file."""
    # One thread: another process draws fields, and on a busy machine OpenMP's threads wait for each other.
    torch.set_num_threads(1)
    recipe = Recipe(seed=seed, steps=steps)
    network, spec = train(recipe, say=typer.echo)
    score = validate(network, spec, stream_fields(VALIDATION_SEED, VALIDATION_FIELDS, recipe.field_side))
    header = describe(network, spec, recipe, score)
    save_bundle(output, network, header)
    for tissue_class, iou in zip(header.classes.classes, score.iou, strict=True):
        typer.echo(f"{tissue_class.name:<22} {iou:.3f}")
    typer.echo(f"{'mean IoU':<22} {score.mean_iou:.3f}, pixel accuracy {score.accuracy:.3f}: {output}")


if __name__ == "__main__":
    typer.run(main)
