"""The commands that are killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .inputs import Inputs

SMALL = ("--patch", "192", "--overlap", "64", "--workers", "2")
TINY = (
    *("--set", "training.epochs=2", "--set", "training.init=null"),
    *("--set", "model.p=1", "--set", "model.q=1", "--set", "data.patch=64", "--set", "data.cache_mb=64"),
    *("--set", "training.batch_size=4", "--set", "training.epoch_steps=3"),
    *("--set", "training.precision=float32", "--set", "optimiser.warmup_steps=2"),
)


@dataclass(frozen=True)
class Variant:
    """A command that is killed.

    Attributes
    ----------
    name : str
    start : str or None
        The variant whose finished result it begins from; None begins with an empty folder.
    command : callable
        Given the folder that it writes in, the arguments.
    again : tuple of str
        More arguments, for the run after a kill.
    weight : int
        How often it is taken, among the others.
    """

    name: str
    start: str | None
    command: Callable[[Path], list[str]]
    again: tuple[str, ...] = ()
    weight: int = 1

    @property
    def series(self) -> tuple[int, ...]:
        """How often its runs are killed before they may end, in turn; trainings take longest to start."""
        return (4, 1, 5) if self.trains else (1, 2, 1, 4, 3)

    @property
    def trains(self) -> bool:
        """Whether it leaves a model, and no result."""
        return self.name.startswith("train")


def variants(inputs: Inputs) -> list[Variant]:
    """Return all that is killed."""
    outlines = inputs.annotations["QuPath GeoJSON"]

    def predict(*more: str) -> Callable[[Path], list[str]]:
        fixed = ["--model", str(inputs.model), *SMALL, *more]
        return lambda out: ["predict", str(inputs.slide), "-o", str(out), *fixed]

    def export(*more: str) -> Callable[[Path], list[str]]:
        return lambda out: ["export", str(out / inputs.slide.stem), *more]

    def train(*more: str) -> Callable[[Path], list[str]]:
        return lambda out: ["train", *map(str, (inputs.slide, outlines)), "-o", str(out), *TINY, *more]

    return [
        Variant("predict", None, predict(), weight=5),
        Variant("predict, NGFF 0.4, confidence", None, predict("--ngff", "0.4", "--confidence"), weight=2),
        Variant("predict --roi", None, predict("--roi", str(outlines), "--no-gzip"), weight=2),
        Variant("predict, other polygons", "predict", predict("--simplify", "8"), weight=2),
        Variant("predict --overwrite", "predict --roi", predict("--overwrite"), weight=2),
        Variant("export", "predict", export("--simplify", "8"), weight=2),
        Variant("export --no-gzip", "predict", export("--no-gzip"), weight=1),
        Variant("export, CSV", "predict", export("--format", "csv"), weight=1),
        Variant("train", None, train(), ("--resume",), weight=3),
        Variant("train, two stages", None, train("--set", "training.stages=[encoder,full]"), ("--resume",)),
    ]


def save_at_each_step() -> None:
    """Let trainings save their state at each step, not each half minute: these last seconds."""
    from wsi_seg.training.engine import checkpoints

    checkpoints.CHECKPOINT_SECONDS = 0
