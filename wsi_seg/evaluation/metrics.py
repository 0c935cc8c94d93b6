"""One confusion matrix over a whole set, and the scores computed from it.

The rules:

- Pixels are summed over all images before anything is divided. An average over images would differ.
- Pixels whose true class is not known (`IGNORE`) are not counted.
- Where the true class is known but no class was found (not processed, or void), the pixel is a false negative
  of its class, and a false positive of no class.
- Means over classes are over those in the truth. A class that is found but is not in the truth has an IoU of
  0. It is not part of the mean, but its pixels are missing from other classes and lower their IoU.

Cityscapes and PASCAL VOC count the same way. Their means include classes that are found but are not in the
truth; on whole validation sets there are none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from wsi_seg.data.sources import IGNORE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    Integers = TypeVar("Integers", NDArray[Any], Tensor)

NONE_FOUND = 255
"""Predicted class index of pixels for which no class was found."""

VALUES = 256
"""Number of values that a class index can have, including 255 for no class."""


def count_pairs(truth: Integers, found: Integers, bincount: Callable[..., Any]) -> Integers:
    """Count pixels by true class and class found: all scores are computed from this one count.

    It runs where the pixels are, on a GPU too: integers add up the same in numpy and PyTorch.

    Parameters
    ----------
    truth : int64 array or Tensor
        Class indices, or `IGNORE`. It is overwritten.
    found : integer array or Tensor of the same shape
        Class indices, or `NONE_FOUND`.
    bincount : callable
        `numpy.bincount` or `torch.bincount`.

    Returns
    -------
    int64 array or Tensor, shape (256, 256)
        By truth (row) and class found (column); `Confusion.of_pairs` takes it.
    """
    truth *= VALUES
    truth += found
    pairs: Integers = bincount(truth.reshape(-1), minlength=VALUES**2).reshape(VALUES, VALUES)
    return pairs


@dataclass(eq=False)
class Confusion:
    """Pixels by true class and by class found.

    Attributes
    ----------
    counts : int64 array, shape (classes, classes + 1)
        Pixels by true class (row) and class found (column); the last column has those without a class found.
    """

    counts: NDArray[np.int64]

    @classmethod
    def empty(cls, classes: int) -> Self:
        """Begin with no pixels."""
        return cls(np.zeros((classes, classes + 1), np.int64))

    @classmethod
    def of(cls, truth: NDArray[np.uint8], predicted: NDArray[np.uint8], classes: int) -> Self:
        """Count the pixels of one picture.

        Parameters
        ----------
        truth : uint8 array
            Class indices, or `IGNORE`.
        predicted : uint8 array of the same shape
            Class indices, or `NONE_FOUND`.
        classes : int
            Number of classes; indices begin at 0.

        Raises
        ------
        ValueError
            If shapes differ, or a value is neither a class index nor 255.
        """
        confusion = cls.empty(classes)
        confusion.add(truth, predicted)
        return confusion

    @classmethod
    def of_pairs(cls, pairs: NDArray[np.int64], classes: int) -> Self:
        """Make a confusion matrix from the counts of `count_pairs`.

        Parameters
        ----------
        pairs : int64 array, shape (256, 256)
        classes : int
            Number of classes; indices begin at 0.

        Raises
        ------
        ValueError
            If a value is neither a class index nor 255.
        """
        # The rows of known truth, with the column of 255 moved to follow the classes.
        rows = np.delete(pairs, IGNORE, axis=0)
        if rows[classes:].any() or rows[:, classes:NONE_FOUND].any():
            raise ValueError(f"a class index that is not one of the {classes}, nor 255")
        return cls(np.concatenate([rows[:classes, :classes], rows[:classes, NONE_FOUND:]], axis=1))

    def add(self, truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> None:
        """Count the pixels of one more picture, as `of` does."""
        if truth.shape != predicted.shape:
            raise ValueError(f"a truth of shape {truth.shape}, but a prediction of {predicted.shape}")
        known: NDArray[Any] = truth.astype(np.int64)
        found: NDArray[Any] = predicted
        pairs = count_pairs(known, found, np.bincount)
        self.counts += self.of_pairs(pairs, len(self.counts)).counts

    def __add__(self, other: Confusion) -> Confusion:
        if self.counts.shape != other.counts.shape:
            raise ValueError(f"{len(self.counts)} classes and {len(other.counts)} classes do not add up")
        return Confusion(self.counts + other.counts)

    def merged(self, groups: Sequence[Sequence[int]]) -> Confusion:
        """Return the confusion matrix of groups of classes, such as all tumours against the rest.

        Parameters
        ----------
        groups : sequence of sequences of int
            Class indices, each in one group at most. Classes in no group count as unknown in the truth, and
            as no class found in the prediction.
        """
        into = np.zeros((len(self.counts), len(groups) + 1), np.int64)
        into[:, -1] = 1
        for number, group in enumerate(groups):
            into[list(group)] = np.eye(len(groups) + 1, dtype=np.int64)[number]
        found = np.vstack([into, np.eye(len(groups) + 1, dtype=np.int64)[-1]])
        return Confusion(into[:, :-1].T @ self.counts @ found)

    @property
    def pixels(self) -> int:
        """Pixels whose true class is known."""
        return int(self.counts.sum())

    @property
    def none_found(self) -> int:
        """Pixels whose true class is known and for which no class was found."""
        return int(self.counts[:, -1].sum())

    @property
    def true_pixels(self) -> NDArray[np.int64]:
        """Pixels of each class in the truth."""
        return np.asarray(self.counts.sum(axis=1))

    @property
    def found_pixels(self) -> NDArray[np.int64]:
        """Pixels in which each class was found, where the truth is known."""
        return np.asarray(self.counts[:, :-1].sum(axis=0))

    @property
    def hits(self) -> NDArray[np.int64]:
        """True positives of each class."""
        return np.asarray(np.diagonal(self.counts))

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether each class is in the truth."""
        return np.asarray(self.true_pixels > 0)

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each class; NaN where it is neither in the truth nor found."""
        return share(self.hits, self.true_pixels + self.found_pixels - self.hits)

    @property
    def dice(self) -> NDArray[np.float64]:
        """Dice coefficient (F1 score) of each class; NaN where the IoU is NaN."""
        return share(2 * self.hits, self.true_pixels + self.found_pixels)

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of each class's found pixels that are right; NaN where it was not found."""
        return share(self.hits, self.found_pixels)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of each class's true pixels that were found; NaN where the truth lacks it."""
        return share(self.hits, self.true_pixels)

    @property
    def mean_iou(self) -> float:
        """Mean IoU over the classes that the truth holds; NaN if it holds none."""
        return mean(self.iou[self.present])

    @property
    def mean_dice(self) -> float:
        """Mean Dice coefficient over the classes that the truth holds; NaN if it holds none."""
        return mean(self.dice[self.present])

    @property
    def class_accuracy(self) -> float:
        """Mean recall over the classes that the truth holds; NaN if it holds none."""
        return mean(self.recall[self.present])

    @property
    def pixel_accuracy(self) -> float:
        """Share of pixels whose class is right; NaN if there are none."""
        return float(share(self.hits.sum(), self.counts.sum()))


def share(part: NDArray[np.number] | np.number, whole: NDArray[np.number] | np.number) -> NDArray[np.float64]:
    """Divide element by element, as float64; NaN where `whole` is 0."""
    parts, wholes = np.broadcast_arrays(part, whole)
    divided: NDArray[np.float64] = np.full(wholes.shape, np.nan)
    np.divide(parts, wholes, out=divided, where=wholes > 0)
    return divided


def mean(values: NDArray[np.float64]) -> float:
    """Mean of all values, NaN if there are none."""
    return float(values.mean()) if values.size else float("nan")
