"""The training crops of the demo model: mosaics of training fields, rotated, mirrored and restained.

A mosaic has pieces of several fields side by side. The surroundings of a piece carry no information about it,
so the network learns to use near pixels: a pixel's class hardly depends on where a patch is cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Crop = tuple[NDArray[np.float32], NDArray[np.uint8]]
    """Pixels of 0 to 255, (height, width, 3), and class ids, (height, width)."""

GLASS = 0
"""Class id of pixels that were not scanned."""

ENOUGH = 200
"""A field with at least this many pixels of a class is used to find that class."""


class Shelf:
    """The fields drawn so far, and crops of them.

    Parameters
    ----------
    capacity : int
        Largest number of fields.
    side : int
        Side of a field in pixels.
    classes : int
        Number of classes.
    seed : int
        Seed of all random numbers.
    """

    def __init__(self, capacity: int, side: int, classes: int, seed: int) -> None:
        self._rgb = np.empty((capacity, side, side, 3), np.uint8)
        self._labels = np.empty((capacity, side, side), np.uint8)
        self._holding: list[list[int]] = [[] for _ in range(classes)]
        self._count, self._side = 0, side
        self._rng = np.random.default_rng([seed, 0xC209])

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """Pictures of the fields, (n, side, side, 3)."""
        return self._rgb[: self._count]

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Class ids of the fields, (n, side, side)."""
        return self._labels[: self._count]

    def add(self, rgb: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        """Put one more field on the shelf."""
        self._rgb[self._count], self._labels[self._count] = rgb, labels
        present = np.bincount(labels.ravel(), minlength=len(self._holding))
        for class_id in np.flatnonzero(present >= ENOUGH):
            self._holding[class_id].append(self._count)
        self._count += 1

    def mosaic(self, side: int) -> Crop:
        """Return a square crop: of one field, or of four that meet at a random point."""
        rng = self._rng
        if rng.random() < 0.35:
            return self._piece(side, side)
        rgb, labels = np.empty((side, side, 3), np.float32), np.empty((side, side), np.uint8)
        cut_y, cut_x = rng.integers(side // 5, side - side // 5, 2)
        for rows in (slice(0, cut_y), slice(cut_y, side)):
            for columns in (slice(0, cut_x), slice(cut_x, side)):
                height, width = rows.stop - rows.start, columns.stop - columns.start
                make = self._unscanned if rng.random() < 0.06 else self._piece
                rgb[rows, columns], labels[rows, columns] = make(height, width)
        return rgb, labels

    def _piece(self, height: int, width: int) -> Crop:
        """Return a piece of one field, rotated, mirrored and restained.

        Half of the pieces lie around a pixel of a class that is drawn uniformly, so that rare classes are
        seen often.
        """
        rng, side = self._rng, max(height, width)
        field, y, x = self._around_a_class(side) if rng.random() < 0.5 else self._anywhere(side)
        rgb = self._rgb[field, y : y + side, x : x + side]
        labels = self._labels[field, y : y + side, x : x + side]
        turns = int(rng.integers(4))
        rgb, labels = np.rot90(rgb, turns), np.rot90(labels, turns)
        if rng.random() < 0.5:
            rgb, labels = rgb[:, ::-1], labels[:, ::-1]
        return restain(rgb[:height, :width], rng), labels[:height, :width]

    def _anywhere(self, side: int) -> tuple[int, int, int]:
        y, x = self._rng.integers(0, self._side - side + 1, 2)
        return int(self._rng.integers(self._count)), int(y), int(x)

    def _around_a_class(self, side: int) -> tuple[int, int, int]:
        seen = [class_id for class_id, fields in enumerate(self._holding) if fields]
        class_id = seen[int(self._rng.integers(len(seen)))]
        field = self._holding[class_id][int(self._rng.integers(len(self._holding[class_id])))]
        pixel = int(self._rng.choice(np.flatnonzero(self._labels[field] == class_id)))
        row, column = divmod(pixel, self._side)
        shift_y, shift_x = self._rng.integers(0, side, 2).tolist()
        last = self._side - side
        return field, min(max(row - shift_y, 0), last), min(max(column - shift_x, 0), last)

    def _unscanned(self, height: int, width: int) -> Crop:
        """Return one uniform light grey, as scanners write it where they did not scan."""
        grey = self._rng.uniform(215, 255) + self._rng.uniform(-4, 4, 3)
        rgb = np.broadcast_to(np.clip(grey, 0, 255).astype(np.float32), (height, width, 3))
        return rgb, np.full((height, width), GLASS, np.uint8)


def restain(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    """Vary colour, contrast, brightness, sharpness and noise; shape (height, width, 3), 0 to 255."""
    density = -np.log((rgb.astype(np.float32) + 1) / 256)
    density *= np.exp(rng.normal(0, 0.16) + rng.normal(0, 0.07, 3)).astype(np.float32)
    density += np.float32(abs(rng.normal(0, 0.05))) + rng.normal(0, 0.02, 3).astype(np.float32)
    pixels = 256 * np.exp(-density) - 1
    if rng.random() < 0.35:
        # Negative shares sharpen, as scanners do.
        share = np.float32(rng.uniform(-0.4, 0.5))
        pixels[:, 1:-1] += share * ((pixels[:, :-2] + pixels[:, 2:]) / 2 - pixels[:, 1:-1])
        pixels[1:-1] += share * ((pixels[:-2] + pixels[2:]) / 2 - pixels[1:-1])
    if rng.random() < 0.4:
        pixels += rng.standard_normal(pixels.shape, np.float32) * np.float32(rng.uniform(0, 6))
    return np.asarray(np.clip(pixels, 0, 255), np.float32)
