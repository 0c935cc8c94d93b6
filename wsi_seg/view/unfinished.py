"""A result while it is being written: what is done of its labels, and how far the run is."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Self

import numpy as np

from wsi_seg.errors import OutputError
from wsi_seg.inference.stream.ledger import Ledger
from wsi_seg.models.classes import UNPROCESSED_ID
from wsi_seg.results.labels.halving import halve_known, halve_labels
from wsi_seg.results.labels.read_labels import LabelPyramid, read_labels
from wsi_seg.slides.lattice import Lattice, Rect
from wsi_seg.wording import duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray
    from pydantic import JsonValue

    from wsi_seg.results.folder import ResultFolder
    from wsi_seg.results.record import RunRecord

    Halve = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
    Read = Callable[[Rect], NDArray[np.uint8]]

RESUMES = "the same `wsi-seg predict` again resumes it"

KEPT = 4
"""Level of the labels that is kept in memory: 1/256 of their pixels. Finer ones are made when asked for."""

QUIET_SECONDS = 120
"""A run that wrote nothing for so long may have ended."""


@dataclass(frozen=True)
class Run:
    """The run that writes a result, as its files show it.

    Attributes
    ----------
    result : ResultFolder
    lattice : Lattice or None
        Of its regions; None while there are no labels, and once they are whole.
    exporting : bool
        Whether the labels were whole when the result was opened.
    """

    result: ResultFolder
    lattice: Lattice | None = None
    exporting: bool = False

    @property
    def done(self) -> set[str]:
        """The names of the regions that are done by now."""
        return Ledger(self.result.ledger).names()

    def about(self) -> dict[str, JsonValue]:
        """Return how far it is, in numbers and in a line."""
        quiet = quiet_seconds(self.result)
        stage = "exporting" if self.exporting else "segmenting" if self.lattice else "beginning"
        return {
            "stage": stage,
            "done": len(self.done),
            "running": quiet < QUIET_SECONDS,
            "line": self._line(quiet),
        }

    def _line(self, quiet: float) -> str:
        done = (
            "segmented; polygons, areas and pictures come next"
            if self.exporting
            else "nothing is segmented yet"
        )
        if self.lattice is not None:
            done = f"{len(self.done)} of {len(self.lattice)} regions are segmented; the rest is hatched"
        if quiet < QUIET_SECONDS:
            return f"still being written: {done}"
        return f"not finished, and nothing was written for {duration(quiet)}: {done}; {RESUMES}"


def quiet_seconds(result: ResultFolder) -> float:
    """Return how long ago a run wrote something that can be seen, in seconds."""
    places = (result.folder, result.work, result.ledger, result.unfinished_zarr, result.record_path)
    return max(0.0, time.time() - max(map(_written, places)))


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def read_underway(result: ResultFolder, record: RunRecord) -> tuple[LabelPyramid | None, Run]:
    """Return the labels of a result that is not finished, as far as they are done, and its run.

    Raises
    ------
    OutputError
        If they are damaged, or of another version.
    """
    if result.zarr.is_dir():
        return read_labels(result.zarr), Run(result, exporting=True)
    if not result.unfinished_zarr.is_dir():
        return None, Run(result)
    try:
        labels = read_labels(result.unfinished_zarr)
    except OutputError:
        if not result.zarr.is_dir():
            raise
        return read_underway(result, record)  # it was moved to its place meanwhile
    stated = labels.attributes | record.labels
    numbers = (stated.get(name) for name in ("patch", "halo", "region cores"))
    patch, halo, cores = (number if isinstance(number, int) else 0 for number in numbers)
    if not (patch and cores):
        raise OutputError(f"{result.folder}: not finished, and of another version: {RESUMES}")
    run = Run(result, Lattice(*labels.frames.label_size, patch, halo, cores))
    return GrowingLabels.of(labels, run), run


@dataclass(frozen=True)
class GrowingLabels(LabelPyramid):
    """The labels of a result that is being written; what is not done is unprocessed. Safe for many threads.

    The coarser levels of the files are written last. Until then they are made here, by the same rule.
    """

    run: Run
    _classes: _Growing = field(init=False)
    _sure: _Growing = field(init=False)

    def __post_init__(self) -> None:
        assert self.run.lattice is not None
        grown = (
            ("_classes", super().read, halve_labels, UNPROCESSED_ID),
            ("_sure", super().read_confidence, halve_known, 0),
        )
        for name, read, halve, fill in grown:
            object.__setattr__(self, name, _Growing(self.run, self.run.lattice, read, halve, fill))

    @classmethod
    def of(cls, labels: LabelPyramid, run: Run) -> Self:
        """Take the labels of a run whose lattice is known."""
        return cls(**{one.name: getattr(labels, one.name) for one in fields(labels)}, run=run)

    def read(self, rect: Rect, level: int = 0) -> NDArray[np.uint8]:
        """Read label values, as far as they are done.

        Raises
        ------
        OutputError
            If the files are damaged, or were moved when the run went on.
        """
        return self._classes.read(rect, level)

    def read_confidence(self, rect: Rect, level: int = 0) -> NDArray[np.uint8]:
        """Read confidence in the same way; 0 where nothing is done.

        Raises
        ------
        OutputError
            As for `read`.
        """
        return self._sure.read(rect, level)


class _Growing:
    """The levels of an image that grows region by region."""

    def __init__(self, run: Run, lattice: Lattice, read: Read, halve: Halve, fill: int) -> None:
        self._run, self._lattice, self._read, self._halve = run, lattice, read, halve
        side = 1 << KEPT
        self._kept = np.full((-(-lattice.height // side), -(-lattice.width // side)), fill, np.uint8)
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def read(self, rect: Rect, level: int) -> NDArray[np.uint8]:
        if level < KEPT:
            return self._halved(rect, level)
        with self._lock:
            self._grow()
            values = self._kept.copy()
        for _ in range(level - KEPT):
            values = self._halve(values)
        return values[rect.slices]

    def _halved(self, rect: Rect, times: int) -> NDArray[np.uint8]:
        """Read a rectangle of a level from the label pixels below it."""
        below = Rect(*(side << times for side in (rect.y0, rect.x0, rect.y1, rect.x1)))
        values = self._read(below.clipped(self._lattice.width, self._lattice.height))
        for _ in range(times):
            values = self._halve(values)
        return values

    def _grow(self) -> None:
        """Add the regions that were done meanwhile."""
        new = self._run.done - self._known
        for region in self._lattice.regions() if new else ():
            if region.name in new:
                kept = region.label_rect.in_cells(1 << KEPT)
                self._kept[kept.slices] = self._halved(kept, KEPT)
        self._known |= new
