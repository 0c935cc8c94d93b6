"""Benchmarks of public data sets, in addition to our own scores: their scores, and submissions to a server.

A benchmark is registered by the data set's kind, and imported when a data set of that kind is evaluated.
Nothing here depends on any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Protocol

from wsi_seg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from wsi_seg.data.dataset import Dataset
    from wsi_seg.data.masked_images import LabelledImage
    from wsi_seg.data.sources import Source
    from wsi_seg.evaluation.metrics import Confusion
    from wsi_seg.models.classes import ClassSchema

BENCHMARKS = {
    "cityscapes": "wsi_seg.paper.streets.registered:CITYSCAPES",
    "voc": "wsi_seg.paper.streets.registered:VOC",
}
"""The `Benchmark` of a kind of data sets, as ``module:name``."""


class Figures(Protocol):
    """A benchmark's own scores of a whole set."""

    @property
    def key(self) -> str:
        """The key of these scores in a JSON report."""

    @property
    def heading(self) -> tuple[str, ...]:
        """Headings of the table's columns; the first column holds names."""

    @property
    def note(self) -> str:
        """A line below the table."""

    def rows(self) -> Sequence[tuple[str, Sequence[float | None]]]:
        """Return the table's rows: a name and its scores; None or NaN where there is no score."""

    def scores(self) -> Mapping[str, float | Mapping[str, float]]:
        """Return all scores by name, for a report in JSON; NaN where there is no score."""


class Scores(Protocol):
    """The counts of a benchmark, collected image by image."""

    def add(self, source: LabelledImage, predicted: NDArray[np.uint8]) -> None:
        """Count one more image.

        Parameters
        ----------
        source : LabelledImage
        predicted : uint8 array, shape (height, width)
            Indices of the data set's classes, or `wsi_seg.evaluation.metrics.NONE_FOUND`.
        """

    def figures(self, confusion: Confusion) -> Figures:
        """Compute the scores, with the confusion matrix of the whole set."""


class Submission(Protocol):
    """A folder of predictions that is being filled."""

    def add(self, source: Source, classes: NDArray[np.uint8]) -> Path:
        """Write the prediction for one image, and return the file.

        Parameters
        ----------
        source : Source
            The image; its name names the file.
        classes : uint8 array, shape (height, width)
            Class indices at the image's full size.

        Raises
        ------
        OutputError
            If it can't be written.
        """

    def close(self) -> Path:
        """Finish, and return what to submit: a file, or a folder to be packed.

        Raises
        ------
        OutputError
            If it can't be written.
        """


@dataclass(frozen=True)
class Benchmark:
    """The benchmark of a public data set.

    Attributes
    ----------
    submission : callable
        Takes a folder and the class schema of the predictions; begins a submission.
    scores : callable, optional
        Takes a data set; returns an object that counts, or None if its classes are not the benchmark's.
    """

    submission: Callable[[Path, ClassSchema], Submission]
    scores: Callable[[Dataset], Scores | None] | None = None


def own_scores(dataset: Dataset) -> Scores | None:
    """Return the scores of the data set's own benchmark, before anything is counted; None without one."""
    benchmark = _benchmark(dataset.kind)
    return None if benchmark is None or benchmark.scores is None else benchmark.scores(dataset)


def open_submission(kind: str, folder: Path, schema: ClassSchema) -> Submission:
    """Begin a submission for a data set of this kind.

    Raises
    ------
    UsageError
        If there is no server for it, or the schema has none of its classes.
    """
    benchmark = _benchmark(kind)
    if benchmark is None:
        raise UsageError(
            f"no server takes submissions for {kind}: leave --submission out, or give Cityscapes or VOC 2012"
        )
    return benchmark.submission(folder, schema)


def _benchmark(kind: str) -> Benchmark | None:
    place = BENCHMARKS.get(kind)
    if place is None:
        return None
    benchmark: Benchmark = resolve_name(place)
    return benchmark
