"""The mean and the standard deviation that normalise a network's input, measured on training data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.data.sources import IGNORE
from wsi_seg.models.header import InputSpec
from wsi_seg.training.data.draws import PatchDraws
from wsi_seg.training.data.split import whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from wsi_seg.training.data.cache import PixelCache
    from wsi_seg.training.data.training_data import TrainingData
    from wsi_seg.training.recipe import Recipe

MEASURED = 64
"""Patches or images."""


def measure_input(cache: PixelCache, data: TrainingData, recipe: Recipe) -> InputSpec:
    """Measure the mean and the standard deviation of the training pixels.

    If the training draws patches, they are measured on such patches, so that every class counts; otherwise on
    whole images. Pixels of unknown class do not count.
    """
    count, total, squares = 0, np.zeros(3), np.zeros(3)
    for rgb, classes in _measured(cache, data, recipe):
        known = rgb[:, classes != IGNORE].astype(np.float64)
        count += known.shape[1]
        total += known.sum(axis=1)
        squares += (known**2).sum(axis=1)
    mean = total / count
    std = np.sqrt(squares / count - mean**2).clip(1).round(2)
    mean = mean.round(2)
    size = recipe.data.input_size or (recipe.data.sizes or (None,))[0]
    return InputSpec(
        channels="rgb",
        mean=(float(mean[0]), float(mean[1]), float(mean[2])),
        std=(float(std[0]), float(std[1]), float(std[2])),
        mpp=data.mpp,
        size=size if recipe.data.sampling == "whole" else None,
    )


def _measured(
    cache: PixelCache, data: TrainingData, recipe: Recipe
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Yield pixels, (3, height, width), and classes of some of the training patches or images."""
    if recipe.data.sampling == "whole":
        images = data.split.training
        count = min(MEASURED, len(images))
        for source in (images[i * len(images) // count] for i in range(count)):
            pixels = cache.read(source, whole(data.sources[source]))
            yield pixels.rgb.transpose(2, 0, 1), pixels.classes
        return
    draws = PatchDraws(
        cache, data.sizes, data.split, data.surveys, data.schema, recipe.data.patch, recipe.training.seed
    )
    for draw in (draws[i] for i in range(MEASURED)):
        yield draw.rgb.numpy(), draw.classes.numpy()
