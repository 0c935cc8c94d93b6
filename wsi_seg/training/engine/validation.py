"""The data of a validation: tiles of the parts kept out, or whole images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch.utils.data import Dataset

from wsi_seg.data.sources import IGNORE, LabelledPixels
from wsi_seg.models.network import ENCODER_STRIDE
from wsi_seg.slides.lattice import Rect
from wsi_seg.training.data.draws import Draw, fitted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsi_seg.models.header import InputSpec
    from wsi_seg.training.data.cache import PixelCache
    from wsi_seg.training.data.split import Split
    from wsi_seg.training.data.survey import Survey
    from wsi_seg.training.data.training_data import TrainingData
    from wsi_seg.training.recipe import Recipe

BATCH = 4
"""Number of tiles, or images of one size, that go through the network together."""

LARGEST_WHOLE = 1 << 22
"""Images of more pixels are validated tile by tile, unless the model resizes them."""

CORE, MARGIN = 384, 64
"""Side of a tile whose classes count, and width of the margin around it that the network needs to see."""


class Kept(Dataset[Draw]):
    """The data kept out of training, or a part of them, as a sequence.

    Attributes
    ----------
    tiles : list of (int, Rect)
        Source and rectangle of each.
    unit : str
        Their name, in the plural.
    batch_size : int
        How many of them go through the network together.

    Parameters
    ----------
    tiles : sequence of (int, Rect)
        All of them.
    limit : int or None
        How many to take at most, evenly from all.
    """

    unit: str
    batch_size: int

    def __init__(self, tiles: Sequence[tuple[int, Rect]], limit: int | None) -> None:
        count = len(tiles) if limit is None else min(limit, len(tiles))
        self.tiles = [tiles[i * len(tiles) // count] for i in range(count)]
        self._of = len(tiles)

    def __len__(self) -> int:
        return len(self.tiles)

    def __str__(self) -> str:
        """Return how many these are, and of how many."""
        share = f"{len(self)} of " if len(self) < self._of else ""
        return f"{share}{self._of} {self.unit if self._of > 1 else self.unit.removesuffix('s')}"


class Tiles(Kept):
    """Tiles of the parts kept out that hold known pixels, each with a margin whose classes do not count.

    Parameters
    ----------
    cache : PixelCache
    split : Split
    surveys : sequence of Survey
    limit : int or None
        Tiles at most, taken evenly from all.
    """

    unit = "tiles"
    batch_size = BATCH

    def __init__(
        self, cache: PixelCache, split: Split, surveys: Sequence[Survey], limit: int | None = None
    ) -> None:
        self._cache = cache
        tiles = [
            (source, core)
            for source, rect in split.validation
            for core in _cores(rect)
            if (surveys[source].within(core) != IGNORE).any()
        ]
        super().__init__(tiles, limit)

    def seen(self, number: int) -> Rect:
        """Return what the network sees of a tile: the core, as if it were whole, and what lies around it."""
        _, core = self.tiles[number]
        return Rect(core.y0, core.x0, core.y0 + CORE, core.x0 + CORE).padded(MARGIN)

    def __getitem__(self, number: int) -> Draw:
        source, core = self.tiles[number]
        outer = self.seen(number)
        pixels = self._cache.read(source, outer)
        classes = np.full_like(pixels.classes, IGNORE)
        inner = core.relative_to(outer).slices
        classes[inner] = pixels.classes[inner]
        return Draw.of(LabelledPixels(pixels.rgb, classes), self._cache.diagnosis(source))


class Images(Kept):
    """Whole images, at the input size of the model.

    Parameters
    ----------
    cache : PixelCache
    split : Split
    size : (int, int) or None
        Width and height; None keeps the images' sizes, padded to multiples of `multiple`.
    limit : int or None
        Images at most, taken evenly from all.
    multiple : int
        The network takes images whose sides are multiples of this.
    """

    unit = "images"

    def __init__(
        self,
        cache: PixelCache,
        split: Split,
        size: tuple[int, int] | None,
        limit: int | None = None,
        multiple: int = ENCODER_STRIDE,
    ) -> None:
        self._cache, self._size, self._multiple = cache, size, multiple
        self.batch_size = BATCH if size else 1
        super().__init__(split.validation, limit)

    def seen(self, number: int) -> Rect:
        """Return what is shown of an image, in its pixels: all that is kept out of it."""
        return self.tiles[number][1]

    def __getitem__(self, number: int) -> Draw:
        source, rect = self.tiles[number]
        if self._size is not None:
            pixels = fitted(self._cache.read(source, rect), self._size)
        else:
            height, width = (
                -(-side // self._multiple) * self._multiple for side in (rect.height, rect.width)
            )
            pixels = self._cache.read(source, Rect(rect.y0, rect.x0, rect.y0 + height, rect.x0 + width))
        return Draw.of(pixels, self._cache.diagnosis(source))


def _cores(rect: Rect) -> list[Rect]:
    return [
        Rect(y, x, y + CORE, x + CORE).intersection(rect)
        for y in range(rect.y0, rect.y1, CORE)
        for x in range(rect.x0, rect.x1, CORE)
    ]


def kept_out(
    data: TrainingData, cache: PixelCache, spec: InputSpec, recipe: Recipe, limit: int | None
) -> Tiles | Images:
    """Choose how to validate: on whole images where they are small or resized, else on tiles."""
    small = max(width * height for width, height in data.sizes) <= LARGEST_WHOLE
    if data.mpp is None and (spec.size is not None or small):
        return Images(cache, data.split, spec.size, limit, recipe.model.config(2).multiple)
    return Tiles(cache, data.split, data.surveys, limit)


def described(validation: Tiles | Images, split: Split) -> str:
    """Return how many these are, and whether training has seen them."""
    return f"{validation} " + ("kept out" if split.unseen else "trained on")
