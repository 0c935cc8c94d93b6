"""Small things to train on, whose classes are plain to see, and trainings that take seconds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
import torch
from conftest import write_tiff
from numpy.typing import NDArray
from safetensors.torch import load_file

from helpers.pictures import save
from wsi_seg.data.sources import IGNORE, LabelledPixels
from wsi_seg.models.classes import ClassSchema, TissueClass
from wsi_seg.progress import TrainingProgress
from wsi_seg.slides.lattice import Rect
from wsi_seg.training.data.open_data import DataRequest
from wsi_seg.training.recipe import Recipe, TrainingRecipe, override
from wsi_seg.training.request import TrainRequest

SCHEMA = ClassSchema(
    name="stripes",
    classes=(
        TissueClass(id=0, name="Stroma", color=(225, 150, 200)),
        TissueClass(id=1, name="Tumour", color=(110, 60, 150)),
        TissueClass(id=2, name="Nerve", color=(150, 200, 120)),
    ),
)
NAMES = tuple(c.name for c in SCHEMA.classes)
STRIPE = 64
INSET = 4
"""How far outlines stay inside the stripes."""

TINY = (
    "model.p=1",
    "model.q=1",
    "data.patch=64",
    "data.cache_mb=64",
    "training.batch_size=4",
    "training.averaging=0.9",
    "optimiser.warmup_steps=5",
    "optimiser.learning_rate=0.005",
    "training.epoch_steps=20",
    "training.precision=float32",
)
"""Settings with which a step takes a few hundredths of a second."""

FEW = ("training.epochs=2", "training.epoch_steps=5")
HEARD = 12
"""How often a listener hears of a training of these: after ten steps and two validations."""

Pair = tuple[Path, Path]
"""A slide and its outlines."""


def tiny_recipe(*settings: str) -> Recipe:
    """A recipe for trainings of seconds, with changes."""
    return override(Recipe(training=TrainingRecipe(epochs=1)), [*TINY, *settings])


def requested(
    pair: Pair, out: Path, *settings: str, init: str | None = None, resume: bool = False
) -> TrainRequest:
    """Ask for a training of `FEW` steps at 2 um per pixel, with changes."""
    recipe = tiny_recipe(*FEW, *settings)
    return TrainRequest(DataRequest(pair, working_mpp=2), recipe, out, init, resume=resume)


def rows_of(out: Path) -> list[dict[str, float | None]]:
    """The history without what the clock says."""
    history = json.loads((out / "report" / "report.json").read_text())["history"]
    return [{name: v for name, v in row.items() if name != "seconds"} for row in history]


def assert_same(out: Path, other: Path) -> None:
    """The same weights to the bit, and the same history."""
    weights, others = load_file(out / "model.safetensors"), load_file(other / "model.safetensors")
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert rows_of(out) == rows_of(other)


def striped(
    height: int, width: int, classes: int = 2, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Make a picture of upright stripes in the colours of the classes, and the class of each pixel."""
    rng = np.random.default_rng(seed)
    stripes = (np.arange(width) // STRIPE + seed) % classes
    truth = np.broadcast_to(stripes, (height, width)).astype(np.uint8)
    colours = np.array([c.color for c in SCHEMA.classes])
    noisy = colours[truth] + rng.integers(-25, 25, (height, width, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8), truth


def write_outlined(
    folder: Path, stem: str = "slide", size: tuple[int, int] = (768, 512), classes: int = 2, seed: int = 0
) -> tuple[Path, Path]:
    """Write a slide of stripes at 2 um per pixel, and an outline of each bit of a stripe."""
    width, height = size
    rgb, truth = striped(height, width, classes, seed)
    boxes = [
        (NAMES[truth[0, x]], (x + INSET, y + INSET, x + STRIPE - INSET, y + 2 * STRIPE - INSET))
        for x in range(0, width, STRIPE)
        for y in range(0, height, 2 * STRIPE)
    ]
    outlines = folder / f"{stem}.geojson"
    draw_boxes(outlines, *boxes)
    return write_tiff(folder / f"{stem}.tiff", rgb), outlines


def draw_boxes(outlines: Path, *boxes: tuple[str, tuple[int, int, int, int]]) -> None:
    """Write outlines that are boxes, each with its class, in place of those that are there."""
    features = [
        {
            "type": "Feature",
            "geometry": shapely.geometry.mapping(shapely.box(*box)),
            "properties": {"classification": {"name": name}},
        }
        for name, box in boxes
    ]
    outlines.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def write_tiles(folder: Path, count: int = 6, size: tuple[int, int] = (192, 128), classes: int = 2) -> Path:
    """Write a data set of images and masks, with its class schema."""
    for number in range(count):
        rgb, truth = striped(size[1], size[0], classes, seed=number)
        save(folder / "images" / f"{number}.png", rgb)
        save(folder / "masks" / f"{number}.png", truth)
    lines = [f"  - {{id: {c.id}, name: {c.name}, color: {list(c.color)}}}" for c in SCHEMA.classes[:classes]]
    (folder / "classes.yaml").write_text("\n".join(["name: stripes", "classes:", *lines]) + "\n")
    return folder


@dataclass(frozen=True, eq=False)
class Picture:
    """A source that is held in memory."""

    name: str
    rgb: NDArray[np.uint8]
    classes: NDArray[np.uint8]
    diagnosis: int | None = None

    @classmethod
    def at_random(cls, width: int, height: int, classes: int = 2, seed: int = 0) -> Picture:
        """Blocks of random classes, some unknown."""
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, classes + 1, (height // 16 + 1, width // 16 + 1))
        fine = np.kron(coarse, np.ones((16, 16), int))[:height, :width]
        rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        return cls(f"picture {seed}", rgb, np.where(fine == classes, IGNORE, fine).astype(np.uint8))

    @property
    def size(self) -> tuple[int, int]:
        return self.classes.shape[1], self.classes.shape[0]

    def read(self, rect: Rect) -> LabelledPixels:
        assert rect == rect.clipped(*self.size), "sources are read inside only"
        return LabelledPixels(self.rgb[rect.slices].copy(), self.classes[rect.slices].copy())

    def class_map(self, stride: int) -> NDArray[np.uint8]:
        width, height = self.size
        centres = self.classes[stride // 2 :: stride, stride // 2 :: stride]
        return centres[: height // stride, : width // stride].copy()


class StoppedError(Exception):
    """What `Stopping` ends a training with."""


class Stopping(TrainingProgress):
    """Breaks a training off when it has heard so many times how it goes: after a step or a validation."""

    def __init__(self, after: int) -> None:
        self.after, self.heard = after, 0

    def advance(self, share: float, seconds: float, loss: float | None, miou: float | None) -> None:
        self.heard += 1
        if self.heard == self.after:
            raise StoppedError
