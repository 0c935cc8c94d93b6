"""The final scores of a model, on everything that was kept out, and examples to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from wsi_seg.data.sources import IGNORE
from wsi_seg.evaluation.metrics import Confusion
from wsi_seg.inference.network.pixels import Normalisation
from wsi_seg.training.engine.module import count_diagnoses, look, predicted
from wsi_seg.training.report.contents import Example

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.models.bundle import InputSpec
    from wsi_seg.models.network import Network
    from wsi_seg.progress import TrainingProgress
    from wsi_seg.training.data.gathering import TrainingData
    from wsi_seg.training.engine.validation import Images, Tiles

EXAMPLES = 8

LEAST_KNOWN = 0.05
"""Share of known pixels from which a tile is preferred as an example."""


@dataclass(frozen=True)
class Scored:
    """The scores on everything that was kept out.

    Attributes
    ----------
    confusion : Confusion
        Pixels by class.
    diagnoses : Confusion
        Patches or images by diagnosis; empty for a network that makes none.
    examples : tuple of Example
        A few tiles or images with many classes, taken evenly from all.
    """

    confusion: Confusion
    diagnoses: Confusion
    examples: tuple[Example, ...]


@torch.inference_mode()
def score(
    network: Network,
    spec: InputSpec,
    data: TrainingData,
    validation: Tiles | Images,
    listener: TrainingProgress,
) -> Scored:
    """Compare a network with the truth, in float32 on the CPU.

    Parameters
    ----------
    network : Network
        In eval mode.
    spec : InputSpec
    data : TrainingData
    validation : Tiles or Images
    listener : TrainingProgress
        Receives the progress after each tile or image.
    """
    listener.score(0, len(validation), validation.unit)
    normalise = Normalisation(spec, torch.device("cpu"))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    confusion, diagnoses = Confusion.empty(len(data.schema)), Confusion.empty(count_diagnoses(network))
    shown = telling(validation)
    examples = []
    for number in range(len(validation)):
        draw = validation[number]
        truth = draw.classes.numpy()
        logits, diagnosed = look(network, normalise(draw.rgb[None]))
        found = predicted(logits, truth.shape[-1])[0].numpy()
        confusion.add(truth, found)
        if diagnosed is not None:
            diagnoses.add(*(t.to(torch.uint8).numpy() for t in (draw.diagnosis[None], diagnosed.argmax(1))))
        if number in shown:
            source, rect = validation.tiles[number]
            name = data.sources[source].name
            if rect.area < np.prod(data.sizes[source]):
                name += f", x {rect.x0}, y {rect.y0}"
            examples.append(Example(name, draw.rgb.permute(1, 2, 0).numpy(), truth, found))
        listener.score(number + 1, len(validation), validation.unit)
    return Scored(confusion, diagnoses, tuple(examples))


def telling(validation: Tiles | Images) -> set[int]:
    """Choose the tiles to show: from each of several equal parts of the list, the most informative one."""
    chosen: dict[int, float] = {}
    for stretch in np.array_split(np.arange(len(validation)), min(EXAMPLES, len(validation))):
        worth = {int(i): _worth(validation[int(i)].classes.numpy()) for i in stretch[:24]}
        best = max(worth, key=lambda number: worth[number])
        chosen[best] = worth[best].known
    least = min(LEAST_KNOWN, max(chosen.values()))
    return {number for number, known in chosen.items() if known >= least}


class _Worth(NamedTuple):
    """How informative a tile is: the entropy of its classes times the known share, and the known share."""

    mixture: float
    known: float


def _worth(classes: NDArray[np.uint8]) -> _Worth:
    counts = np.bincount(classes[classes != IGNORE].ravel())
    shares = counts[counts > 0] / max(counts.sum(), 1)
    known = float(counts.sum() / classes.size)
    return _Worth(float(-(shares * np.log(shares)).sum() * known), known)
