"""Train the demo model on generated tissue: ``python -m wsi_seg.demo.train_demo``."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path  # noqa: TC003 - typer reads it at run time
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.demo.crops import Shelf
from wsi_seg.demo.fields import FIELD_MPP, stream_fields
from wsi_seg.demo.generated_tissue import GENERATOR_VERSION
from wsi_seg.evaluation.metrics import Confusion
from wsi_seg.inference.network.pixels import decide
from wsi_seg.models.architecture import architecture_of
from wsi_seg.models.bundle import save_bundle
from wsi_seg.models.classes import load_schema
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.header import InputSpec, ModelHeader
from wsi_seg.models.lookup import WEIGHTS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray
    from pydantic import JsonValue

NAME = "breast-demo"
NOTICE = "Demo model, trained on generated tissue. Not for diagnosis."
CLASSES = 8

VALIDATION_SEED = 1_000_000
"""Slides with this seed or a larger one are never used for training."""

VALIDATION_FIELDS = 48


@dataclass(frozen=True)
class Recipe:
    """All settings that decide the weights, apart from the generator, PyTorch and the machine.

    Attributes
    ----------
    seed : int
        Seed of the weights and the crops; the seeds of the training slides begin at 10,000 times this.
    steps : int
        Optimiser steps.
    batches : tuple of (int, int)
        Mosaics in a step and their side in pixels, in turn: the network must learn to cope with borders,
        where its convolutions see zeros, at any distance.
    first_fields, steps_per_field : int
        Number of fields at the first step, and steps until the next one is added.
    field_side : int
        Side of a field in pixels.
    learning_rate, warmup : float, int
        The largest rate; it rises linearly for `warmup` steps and falls to zero along a cosine.
    weight_decay : float
        Decoupled.
    """

    seed: int = 1
    steps: int = 3000
    batches: tuple[tuple[int, int], ...] = ((4, 256), (2, 384), (1, 544))
    first_fields: int = 48
    steps_per_field: int = 6
    field_side: int = 576
    learning_rate: float = 2e-3
    warmup: int = 80
    weight_decay: float = 1e-4

    @property
    def fields(self) -> int:
        """Number of training fields, one of each slide."""
        return self.first_fields + self.steps // self.steps_per_field


@torch.random.fork_rng(devices=[])  # the recipe is seeded; the caller's random state stays unchanged
def train(recipe: Recipe, say: Callable[[str], None]) -> tuple[ESPNet, InputSpec]:
    """Train the network from random weights.

    Parameters
    ----------
    recipe : Recipe
        The same recipe gives the same weights on the same machine.
    say : callable
        Receives the progress.

    Returns
    -------
    network : ESPNet
        In eval mode.
    spec : InputSpec
        The input that it was trained on.
    """
    started = time.monotonic()
    drawn = stream_fields(recipe.seed * 10_000, recipe.fields, recipe.field_side)
    shelf = Shelf(recipe.fields, recipe.field_side, CLASSES, recipe.seed)
    for _ in range(recipe.first_fields):
        shelf.add(*next(drawn))
    spec = _measure(shelf.rgb)
    weight = _class_weights(np.stack([shelf.mosaic(recipe.batches[0][1])[1] for _ in range(300)]))
    say(f"{len(shelf.rgb)} fields in {time.monotonic() - started:.0f} s")

    torch.manual_seed(recipe.seed)
    network = ESPNet(ESPNetConfig(classes=CLASSES)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(
        network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _pace(step, recipe))
    network.train()
    running = 0.0
    for step in range(1, recipe.steps + 1):
        pixels, labels = _batch(shelf, *recipe.batches[step % len(recipe.batches)])
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(normalise(pixels, spec))
        loss = functional.cross_entropy(logits.float(), labels, weight)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        if step % recipe.steps_per_field == 0:
            shelf.add(*next(drawn))
        running += float(loss.detach())
        if step % 100 == 0:
            say(f"step {step}, loss {running / 100:.3f}, {time.monotonic() - started:.0f} s")
            running = 0.0
    return network.eval(), spec


def _batch(shelf: Shelf, count: int, side: int) -> tuple[Tensor, Tensor]:
    """Return pixels (n, 3, side, side) of 0 to 255, and labels (n, side, side)."""
    mosaics = [shelf.mosaic(side) for _ in range(count)]
    pixels = torch.from_numpy(np.stack([rgb for rgb, _ in mosaics])).permute(0, 3, 1, 2)
    return pixels, torch.from_numpy(np.stack([labels for _, labels in mosaics]).astype(np.int64))


def _pace(step: int, recipe: Recipe) -> float:
    """Return the learning rate after `step` steps as a share of the largest."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    return 0.5 * (1 + math.cos(math.pi * (step - recipe.warmup) / max(recipe.steps - recipe.warmup, 1)))


def _measure(rgb: NDArray[np.uint8]) -> InputSpec:
    """Return the normalisation: mean and standard deviation of the pixels in each channel."""
    pixels = rgb.reshape(-1, 3)[::17].astype(np.float64)
    red, green, blue = zip(
        pixels.mean(axis=0).round(2).tolist(), pixels.std(axis=0).round(2).tolist(), strict=True
    )
    return InputSpec(
        channels="rgb", mean=(red[0], green[0], blue[0]), std=(red[1], green[1], blue[1]), mpp=FIELD_MPP
    )


def _class_weights(labels: NDArray[np.uint8]) -> Tensor:
    """Weight each class by its share of the pixels, as the ESPNet authors do: ``1 / ln(1.10 + share)``."""
    share = np.bincount(labels.ravel(), minlength=CLASSES) / labels.size
    return torch.tensor(1 / np.log(1.10 + share), dtype=torch.float32)


def normalise(pixels: Tensor, spec: InputSpec) -> Tensor:
    """Normalise pixels of 0 to 255, (n, 3, height, width), for the network."""
    mean = torch.tensor(spec.mean)[None, :, None, None]
    std = torch.tensor(spec.std)[None, :, None, None]
    return ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def validate(
    network: ESPNet, spec: InputSpec, fields: Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]]
) -> Confusion:
    """Score a network on whole fields: one confusion matrix over all of them."""
    confusion = Confusion.empty(CLASSES)
    for rgb, labels in fields:
        pixels = torch.from_numpy(rgb.astype(np.float32))[None].permute(0, 3, 1, 2)
        found, _ = decide(network(normalise(pixels, spec)))
        confusion.add(labels, found[0].numpy())
    return confusion


def describe(network: ESPNet, spec: InputSpec, recipe: Recipe, score: Confusion) -> ModelHeader:
    """Return the model's header, without a date, so that the same training gives the same file."""
    schema = load_schema("breast-biopsy")
    iou: dict[str, JsonValue] = {
        c.name: round(float(v), 4) for c, v in zip(schema.classes, score.iou, strict=True)
    }
    validation: dict[str, JsonValue] = {
        "fields": VALIDATION_FIELDS,
        "first_seed": VALIDATION_SEED,
        "iou": iou,
        "mean_iou": round(score.mean_iou, 4),
        "pixel_accuracy": round(score.pixel_accuracy, 4),
    }
    return ModelHeader(
        name=NAME,
        architecture=architecture_of(network.config),
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
    # One thread: another process draws fields, and on a busy machine OpenMP's threads would wait for others.
    torch.set_num_threads(1)
    recipe = Recipe(seed=seed, steps=steps)
    network, spec = train(recipe, say=typer.echo)
    score = validate(network, spec, stream_fields(VALIDATION_SEED, VALIDATION_FIELDS, recipe.field_side))
    header = describe(network, spec, recipe, score)
    save_bundle(output, network, header)
    for tissue_class, iou in zip(header.classes.classes, score.iou, strict=True):
        typer.echo(f"{tissue_class.name:<22} {iou:.3f}")
    typer.echo(f"{'mean IoU':<22} {score.mean_iou:.3f}, pixel accuracy {score.pixel_accuracy:.3f}: {output}")


if __name__ == "__main__":
    typer.run(main)
