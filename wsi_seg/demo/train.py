"""Train the demo model on generated tissue: ``python -m wsi_seg.demo.train``."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.demo.fields import FIELD_MPP, Fields, draw_fields
from wsi_seg.demo.score import Score
from wsi_seg.demo.tissue import GENERATOR_VERSION
from wsi_seg.models.bundle import WEIGHTS_FOLDER, Architecture, InputSpec, ModelHeader, save_bundle
from wsi_seg.models.classes import load_schema
from wsi_seg.models.espnet import ESPNet, ESPNetConfig

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "breast-demo"
NOTICE = "Demo model, trained on generated tissue. Not for diagnosis."
CLASSES = 8

VALIDATION_SEED = 1_000_000
"""Slides from this seed on are never trained on."""


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights, beside the generator and PyTorch.

    Attributes
    ----------
    seed : int
        Of the weights, the order of crops and the augmentation; and of the first training slide.
    fields, field_side : int
        Training fields, one a slide, and their side in pixels.
    steps, batch, crop : int
        Optimiser steps, crops in a step, and their side in pixels.
    learning_rate : float
        The largest; it rises linearly for `warmup` steps and falls to zero along a cosine.
    weight_decay : float
        Decoupled.
    """

    seed: int = 1
    fields: int = 420
    field_side: int = 512
    steps: int = 3000
    batch: int = 8
    crop: int = 256
    learning_rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 1e-4


def train(recipe: Recipe, say: Callable[[str], None]) -> tuple[ESPNet, InputSpec]:
    """Train the network from nothing.

    Returns
    -------
    network : ESPNet
        In eval mode.
    spec : InputSpec
        What it was trained to see.
    """
    started = time.monotonic()
    fields = draw_fields(recipe.seed * 10_000, recipe.fields, recipe.field_side)
    spec = _measure(fields)
    share = np.bincount(fields.labels.ravel(), minlength=CLASSES) / fields.labels.size
    say(f"{len(fields)} fields in {time.monotonic() - started:.0f} s, classes {np.round(share, 3).tolist()}")

    torch.manual_seed(recipe.seed)
    network = ESPNet(ESPNetConfig(classes=CLASSES)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    # The ESPNet authors' weighting of classes by their share of the pixels.
    weight = torch.tensor(1 / np.log(1.10 + share), dtype=torch.float32)
    optimiser = torch.optim.AdamW(
        network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _pace(step, recipe))
    crops = _Crops(fields, recipe)
    network.train()
    running = 0.0
    for step in range(recipe.steps):
        pixels, labels = crops.draw()
        logits = network(normalise(pixels, spec))
        loss = functional.cross_entropy(logits, labels, weight)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        running += float(loss.detach())
        if (step + 1) % 100 == 0:
            say(f"step {step + 1}, loss {running / 100:.3f}, {time.monotonic() - started:.0f} s")
            running = 0.0
    return network.eval(), spec


def _pace(step: int, recipe: Recipe) -> float:
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(recipe.steps - recipe.warmup, 1)
    return 0.5 * (1 + float(np.cos(np.pi * done)))


def _measure(fields: Fields) -> InputSpec:
    """Return the normalisation: mean and standard deviation of the training pixels in each channel."""
    pixels = fields.rgb.reshape(-1, 3)[::17].astype(np.float64)
    mean, std = np.round(pixels.mean(axis=0), 2), np.round(pixels.std(axis=0), 2)
    return InputSpec(
        channels="rgb",
        mean=(float(mean[0]), float(mean[1]), float(mean[2])),
        std=(float(std[0]), float(std[1]), float(std[2])),
        mpp=FIELD_MPP,
    )


def normalise(pixels: Tensor, spec: InputSpec) -> Tensor:
    """Turn pixels of 0 to 255, (n, 3, height, width), into what the network sees."""
    mean = torch.tensor(spec.mean)[None, :, None, None]
    std = torch.tensor(spec.std)[None, :, None, None]
    return ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)


class _Crops:
    """Draws batches of crops, turned, mirrored and restained.

    Half of them are laid over a pixel of a class drawn evenly, so that rare classes are seen often.
    """

    def __init__(self, fields: Fields, recipe: Recipe) -> None:
        self._fields, self._recipe = fields, recipe
        self._rng = np.random.default_rng(recipe.seed)
        flat = fields.labels.reshape(len(fields), -1)
        self._holding = [np.flatnonzero((flat == c).sum(axis=1) > 200) for c in range(CLASSES)]

    def draw(self) -> tuple[Tensor, Tensor]:
        """Return pixels (n, 3, side, side) float32 of 0 to 255, and labels (n, side, side) int64."""
        drawn = [self._one() for _ in range(self._recipe.batch)]
        pixels = np.stack([rgb for rgb, _ in drawn]).transpose(0, 3, 1, 2)
        labels = np.stack([label for _, label in drawn])
        return torch.from_numpy(pixels), torch.from_numpy(labels.astype(np.int64))

    def _one(self) -> tuple[np.ndarray, np.ndarray]:
        rng, side, crop = self._rng, self._recipe.field_side, self._recipe.crop
        if rng.random() < 0.5:
            wanted = int(rng.integers(CLASSES))
            field = int(rng.choice(self._holding[wanted]))
            centre = int(rng.choice(np.flatnonzero(self._fields.labels[field] == wanted)))
            shift_y, shift_x = rng.integers(-crop // 2, crop // 2, 2)
            y, x = centre // side - crop // 2 + shift_y, centre % side - crop // 2 + shift_x
        else:
            field = int(rng.integers(len(self._fields)))
            y, x = rng.integers(0, side - crop + 1, 2)
        y, x = (int(np.clip(v, 0, side - crop)) for v in (y, x))
        rgb = self._fields.rgb[field, y : y + crop, x : x + crop]
        labels = self._fields.labels[field, y : y + crop, x : x + crop]
        turns = int(rng.integers(4))
        rgb, labels = np.rot90(rgb, turns), np.rot90(labels, turns)
        if rng.random() < 0.5:
            rgb, labels = rgb[:, ::-1], labels[:, ::-1]
        return restain(rgb, rng), labels


def restain(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Vary colour, contrast and sharpness beyond what the generator does; uint8 to float32, 0 to 255."""
    density = -np.log((rgb.astype(np.float32) + 1) / 256)
    density *= np.exp(rng.normal(0, 0.16) + rng.normal(0, 0.07, 3)).astype(np.float32)
    density += rng.normal(0, 0.02, 3).astype(np.float32) + np.float32(abs(rng.normal(0, 0.035)))
    pixels = 256 * np.exp(-density) - 1
    if rng.random() < 0.3:
        soft = (pixels[:, :-2] + pixels[:, 2:]) / 2
        pixels[:, 1:-1] += np.float32(rng.uniform(-0.35, 0.5)) * (soft - pixels[:, 1:-1])
        soft = (pixels[:-2] + pixels[2:]) / 2
        pixels[1:-1] += np.float32(rng.uniform(-0.35, 0.5)) * (soft - pixels[1:-1])
    if rng.random() < 0.5:
        pixels += rng.normal(0, rng.uniform(0, 6), pixels.shape).astype(np.float32)
    return np.clip(pixels, 0, 255)


@torch.inference_mode()
def validate(network: ESPNet, spec: InputSpec, fields: Fields) -> Score:
    """Score a network on fields: one confusion matrix over all of them."""
    confusion = np.zeros((CLASSES, CLASSES), np.int64)
    for rgb, labels in zip(fields.rgb, fields.labels, strict=True):
        pixels = torch.from_numpy(rgb.transpose(2, 0, 1)[None].astype(np.float32))
        found = network(normalise(pixels, spec)).argmax(dim=1)[0].numpy()
        pairs = np.bincount(labels.ravel().astype(np.intp) * CLASSES + found.ravel(), minlength=CLASSES**2)
        confusion += pairs.reshape(CLASSES, CLASSES)
    return Score(confusion, unprocessed=0)


def main(
    output: Annotated[Path, typer.Option("--output", "-o", help="The model file.")] = WEIGHTS_FOLDER
    / f"{NAME}.safetensors",
    steps: Annotated[
        int, typer.Option(help="Optimiser steps; about three a second on two cores.")
    ] = Recipe.steps,
    fields: Annotated[int, typer.Option(help="Training fields, one a generated slide.")] = Recipe.fields,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = Recipe.seed,
    threads: Annotated[int, typer.Option(help="Threads for PyTorch.")] = 2,
) -> None:
    """Train the demo model and write its file; the same settings give the same file on the same machine."""
    torch.set_num_threads(threads)
    recipe = Recipe(seed=seed, steps=steps, fields=fields)
    network, spec = train(recipe, say=lambda line: typer.echo(line))
    unseen = draw_fields(VALIDATION_SEED, 48, recipe.field_side)
    score = validate(network, spec, unseen)
    schema = load_schema("breast-biopsy")
    per_class = {c.name: round(float(iou), 4) for c, iou in zip(schema.classes, score.iou, strict=True)}
    header = ModelHeader(
        name=NAME,
        architecture=Architecture(config=network.config),
        classes=schema,
        input=spec,
        notice=NOTICE,
        training={
            "data": "generated breast tissue (wsi_seg.demo)",
            "generator_version": GENERATOR_VERSION,
            "recipe": asdict(recipe),
            "validation": {
                "fields": len(unseen),
                "first_seed": VALIDATION_SEED,
                "iou": per_class,
                "mean_iou": round(score.mean_iou, 4),
                "pixel_accuracy": round(score.accuracy, 4),
            },
            "torch": torch.__version__,
            "licence": "MIT",
        },
    )
    save_bundle(output, network, header)
    for name, iou in per_class.items():
        typer.echo(f"{name:<22} {iou:.3f}")
    typer.echo(f"{'mean IoU':<22} {score.mean_iou:.3f}, pixel accuracy {score.accuracy:.3f}: {output}")


if __name__ == "__main__":
    typer.run(main)
