"""The final scores of a model, on everything that was kept out, and examples to look at."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from wsi_seg.data.annotated_slides import LabelledSlide
from wsi_seg.data.sources import IGNORE
from wsi_seg.errors import printable
from wsi_seg.evaluation.metrics import Confusion
from wsi_seg.evaluation.near_outlines import near_outlines
from wsi_seg.inference.network.pixels import Normalisation
from wsi_seg.inference.network.threads import computing_threads
from wsi_seg.training.engine.module import count_diagnoses, look, predicted
from wsi_seg.training.engine.spread import Places
from wsi_seg.training.report.contents import Example, Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from wsi_seg.models.header import InputSpec
    from wsi_seg.models.network import Network
    from wsi_seg.progress import TrainingProgress
    from wsi_seg.training.data.draws import Draw
    from wsi_seg.training.data.training_data import TrainingData
    from wsi_seg.training.engine.validation import Images, Tiles

EXAMPLES = 8

LEAST_KNOWN = 0.1
"""Share of known pixels from which a tile is preferred as an example."""


@dataclass(frozen=True)
class Scored:
    """The scores on everything that was kept out.

    Attributes
    ----------
    confusion : Confusion
        Pixels by class.
    away : Confusion
        Of those that are not near an outline; empty for images with masks.
    diagnoses : Confusion
        Patches or images by diagnosis; empty for a network that makes none.
    examples : tuple of Example
        The one with most errors of the worst class, and a few of those with the most classes, evenly from
        all.
    places : Places
        What was found in each tile or image.
    """

    confusion: Confusion
    away: Confusion
    diagnoses: Confusion
    examples: tuple[Example, ...]
    places: Places


def score(
    network: Network,
    spec: InputSpec,
    data: TrainingData,
    validation: Tiles | Images,
    listener: TrainingProgress,
) -> Scored:
    """Compare a network with the truth, in float32 on the CPU.

    Tiles are computed side by side, each on its share of the cores: cores that compute one together wait for
    each other, and on a machine with other work for most of the time.

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
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    seeing = _Seeing(network, Normalisation(spec, torch.device("cpu")), data, validation)
    diagnoses = Confusion.empty(count_diagnoses(network))
    shown = telling(validation)
    examples: dict[int, Example] = {}
    away = Confusion.empty(len(data.schema))
    counts = np.zeros((len(validation), len(data.schema), len(data.schema) + 1), np.int64)
    for number, (example, diagnosed) in enumerate(seeing.all_places()):
        counts[number] = Confusion.of(example.truth, example.prediction, len(data.schema)).counts
        near = seeing.near(number)
        if near is not None:
            away.add(example.truth[~near], example.prediction[~near])
        diagnoses += diagnosed
        if number in shown:
            examples[number] = example
        listener.score(number + 1, len(validation), validation.unit)
    examples = worst_first(examples)
    worst = worst_place(counts)
    if worst is not None:
        number, index = worst
        example = examples.pop(number) if number in examples else seeing.place(number)[0]
        name = f"{example.name}: most errors of {data.schema.classes[index].name}"
        examples = {number: replace(example, name=name), **examples}
    places = Places(counts, [source for source, _ in validation.tiles], validation.unit)
    return Scored(Confusion(counts.sum(axis=0)), away, diagnoses, tuple(examples.values()), places)


@dataclass(frozen=True)
class _Seeing:
    """A network that looks at what was kept out, place by place."""

    network: Network
    normalise: Normalisation
    data: TrainingData
    validation: Tiles | Images

    def all_places(self) -> Iterator[tuple[Example, Confusion]]:
        """Yield what `place` returns of each tile or image, in their order; a few are computed at a time."""
        cores = torch.get_num_threads()
        count = min(cores, len(self.validation))
        waiting: deque[Future[tuple[Example, Confusion]]] = deque()
        with computing_threads(count, cores // count, "score") as pool:
            for number in range(len(self.validation)):
                # Read here: the cache of pixels is for one thread.
                waiting.append(pool.submit(self._seen, number, self.validation[number]))
                if len(waiting) > count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def place(self, number: int) -> tuple[Example, Confusion]:
        """Return a tile or an image with what was found in it, and its diagnosis beside the true one."""
        return self._seen(number, self.validation[number])

    @torch.inference_mode()
    def _seen(self, number: int, draw: Draw) -> tuple[Example, Confusion]:
        truth = draw.classes.numpy()
        logits, diagnosed = look(self.network, self.normalise(draw.rgb[None]))
        found = predicted(logits, truth.shape[-1])[0].numpy()
        diagnoses = Confusion.empty(count_diagnoses(self.network))
        if diagnosed is not None:
            diagnoses.add(*(t.to(torch.uint8).numpy() for t in (draw.diagnosis[None], diagnosed.argmax(1))))
        name, place = _place(number, self.validation, self.data)
        return Example(name, draw.rgb.permute(1, 2, 0).numpy(), truth, found, place), diagnoses

    def near(self, number: int) -> NDArray[np.bool_] | None:
        """Return which pixels of a tile are near an outline; None of an image."""
        source = self.data.sources[self.validation.tiles[number][0]]
        if not isinstance(source, LabelledSlide):
            return None
        return near_outlines(source.truth, source.frames.label_mpp)(self.validation.seen(number))


def _place(number: int, validation: Tiles | Images, data: TrainingData) -> tuple[str, Place | None]:
    """Name a tile or an image by its source, and where it lies in it; return its place on a slide."""
    at, rect = validation.tiles[number]
    source = data.sources[at]
    if isinstance(source, LabelledSlide):
        seen = validation.seen(number)
        x0, y0 = source.frames.label_to_qupath((seen.x0, seen.y0)).tolist()
        x1, y1 = source.frames.label_to_qupath((seen.x1, seen.y1)).tolist()
        place = Place(printable(str(source.path.absolute())), source.series, x0, y0, x1 - x0, y1 - y0)
        return f"{source.name}, around QuPath x {(x0 + x1) / 2:.0f}, y {(y0 + y1) / 2:.0f}", place
    whole = rect.area >= np.prod(data.sizes[at])
    return source.name if whole else f"{source.name}, x {rect.x0}, y {rect.y0}", None


def worst_place(counts: NDArray[np.int64]) -> tuple[int, int] | None:
    """Find where the worst class is worst.

    Parameters
    ----------
    counts : int64 array, shape (places, classes, classes + 1)

    Returns
    -------
    place, class_index : int
        The class of the truth with the lowest IoU, and the place with most of its errors, missed and false.
        None if there is no error.
    """
    total = Confusion(counts.sum(axis=0))
    if not total.present.any():
        return None
    index = int(np.where(total.present, total.iou, np.inf).argmin())
    hits = counts[:, index, index]
    errors = counts[:, index].sum(axis=1) + counts[:, :, index].sum(axis=1) - 2 * hits
    place = int(errors.argmax())
    return (place, index) if errors[place] else None


def worst_first(examples: dict[int, Example]) -> dict[int, Example]:
    """Return examples in another order: those of which the least is right first."""
    return dict(sorted(examples.items(), key=lambda item: (math.isnan(item[1].right), item[1].right)))


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
