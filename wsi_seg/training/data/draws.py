"""What a training step sees: patches in which all classes are drawn equally often, or whole images.

A draw is a function of the seed and its number alone. So a resumed training sees the same draws as one that
was never interrupted, and any number of processes can share the draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset, Sampler

from wsi_seg.data.sources import IGNORE, LabelledPixels
from wsi_seg.errors import AnnotationError
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.training.data.cache import PixelCache
    from wsi_seg.training.data.split import Split
    from wsi_seg.training.data.survey import Survey

TRIES = 500
"""Attempts to find a place for a patch around pixels of a class."""


class Draw(NamedTuple):
    """Pixels (3, H, W) and class indices (H, W) of one patch or image, or of a batch of them; uint8.

    And the diagnosis, int64 (), of the whole picture that it is from, or `IGNORE`.
    """

    rgb: torch.Tensor
    classes: torch.Tensor
    diagnosis: torch.Tensor

    @classmethod
    def of(cls, pixels: LabelledPixels, diagnosis: int) -> Self:
        """Make a draw of a source's pixels."""
        rgb = torch.from_numpy(pixels.rgb).permute(2, 0, 1)  # put in this order with the others of its batch
        return cls(rgb, torch.from_numpy(pixels.classes), torch.tensor(diagnosis))


class PatchDraws(Dataset[Draw]):
    """Square patches of the training part of the sources.

    First a class is drawn, with equal probability for all classes that have pixels; then a pixel of that
    class, and a random patch around it that touches no part kept out.

    Parameters
    ----------
    cache : PixelCache
    sizes : sequence of (int, int)
        Width and height of each source.
    split : Split
    surveys : sequence of Survey
    schema : ClassSchema
    side : int
        Side of a patch in pixels.
    seed : int

    Raises
    ------
    AnnotationError
        If fewer than two classes have pixels to train on.
    """

    def __init__(
        self,
        cache: PixelCache,
        sizes: Sequence[tuple[int, int]],
        split: Split,
        surveys: Sequence[Survey],
        schema: ClassSchema,
        side: int,
        seed: int,
    ) -> None:
        self._cache, self._sizes, self._side, self._seed = cache, tuple(sizes), side, seed
        self._held_out = split.held_out
        self._points: list[list[tuple[int, NDArray[np.int32]]]] = []
        self._weights: list[NDArray[np.float64]] = []
        known = {i: surveys[i].without(split.held_out[i]) for i in split.training}
        for index in range(len(schema)):
            places = [(i, survey.points_xy(index)) for i, survey in known.items()]
            places = [(i, points) for i, points in places if len(points)]
            if places:
                areas = np.array([len(points) * known[i].stride ** 2 for i, points in places], np.float64)
                self._points.append(places)
                self._weights.append(areas / areas.sum())
        if len(self._points) < 2:
            raise AnnotationError(
                f"{len(self._points)} of {len(schema)} classes have pixels to train on: "
                "two are needed: outline more, or give the class of all other tissue with --rest"
            )

    def __getitem__(self, number: int) -> Draw:
        rng = np.random.default_rng((self._seed, number))
        for index in rng.permutation(len(self._points)):  # the first, if a patch fits anywhere around it
            for _ in range(TRIES):
                source, rect = self._place(index, rng)
                if not any(rect.intersection(out).area for out in self._held_out[source]):
                    return Draw.of(self._cache.read(source, rect), self._cache.diagnosis(source))
        raise AnnotationError(
            f"no patch of {self._side} px fits between the parts kept out for validation: "
            "give a smaller --set data.patch"
        )

    def _place(self, index: int, rng: np.random.Generator) -> tuple[int, Rect]:
        """Draw a source, and a patch around a pixel of a class, inside the source if it fits."""
        source, points_xy = self._points[index][rng.choice(len(self._weights[index]), p=self._weights[index])]
        x0, y0 = (
            min(max(int(at) - int(rng.integers(self._side)), 0), max(length - self._side, 0))
            for at, length in zip(points_xy[rng.integers(len(points_xy))], self._sizes[source], strict=True)
        )
        return source, Rect(y0, x0, y0 + self._side, x0 + self._side)


class ImageDraws(Dataset[Draw]):
    """Whole images, resized; each image comes once in a pass.

    Draws are numbered batch by batch: an epoch takes `sizes` in turn, with one pass over all images for each.
    Images of another aspect ratio are fitted into the size; the class of pixels beside them is unknown.
    """

    def __init__(
        self,
        cache: PixelCache,
        sizes: Sequence[tuple[int, int]],
        split: Split,
        passes: Sequence[tuple[int, int]],
        batch_size: int,
        seed: int,
    ) -> None:
        self._cache, self._sizes, self._seed = cache, tuple(sizes), seed
        self._sources, self._passes, self._batch_size = split.training, tuple(passes), batch_size

    @property
    def pass_batches(self) -> int:
        """Number of batches in which every image comes once."""
        return -(-len(self._sources) // self._batch_size)

    @property
    def epoch_batches(self) -> int:
        """Number of batches in an epoch."""
        return self.pass_batches * len(self._passes)

    def __getitem__(self, number: int) -> Draw:
        batch, place = divmod(number, self._batch_size)
        passed, batch = divmod(batch, self.pass_batches)
        order = np.random.default_rng((self._seed, passed)).permutation(len(self._sources))
        source = self._sources[order[(batch * self._batch_size + place) % len(order)]]
        width, height = self._sizes[source]
        pixels = fitted(
            self._cache.read(source, Rect(0, 0, height, width)), self._passes[passed % len(self._passes)]
        )
        return Draw.of(pixels, self._cache.diagnosis(source))


def fitted(pixels: LabelledPixels, size: tuple[int, int]) -> LabelledPixels:
    """Resize an image and its classes to fit into `size`, width and height, and keep its aspect ratio.

    A difference in the aspect ratio of less than 1 % is ignored. Pixels beside the image are black, and their
    class is unknown.
    """
    height, width = pixels.classes.shape
    scale = min(size[0] / width, size[1] / height)
    inner_width, inner_height = (
        side if abs(length * scale / side - 1) < 0.01 else max(1, round(length * scale))
        for side, length in zip(size, (width, height), strict=True)
    )
    inner = inner_width, inner_height
    small_rgb = np.asarray(Image.fromarray(pixels.rgb).resize(inner, Image.Resampling.BILINEAR))
    small_classes = np.asarray(Image.fromarray(pixels.classes).resize(inner, Image.Resampling.NEAREST))
    margins = (0, size[1] - inner[1]), (0, size[0] - inner[0])
    small_rgb = np.pad(small_rgb, (*margins, (0, 0)))
    small_classes = np.pad(small_classes, margins, constant_values=IGNORE)
    return LabelledPixels(small_rgb, small_classes)


class Numbers(Sampler[list[int]]):
    """The numbers of the draws in each batch, from a given step on, shared among processes.

    Parameters
    ----------
    first : int
        The step to begin with.
    stop : int
        The step to end before.
    batch_size : int
        In each process.
    rank, world : int
        Index of this process, and number of processes.
    """

    def __init__(self, first: int, stop: int, batch_size: int, rank: int = 0, world: int = 1) -> None:
        self._steps = range(first, stop)
        self._batch_size, self._rank, self._world = batch_size, rank, world

    def __len__(self) -> int:
        """Return the number of all steps, since Lightning counts those before `first` as taken from here."""
        return self._steps.stop

    def __iter__(self) -> Iterator[list[int]]:
        for step in self._steps:
            start = (step * self._world + self._rank) * self._batch_size
            yield list(range(start, start + self._batch_size))
