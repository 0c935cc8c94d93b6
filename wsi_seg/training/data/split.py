"""The part of the data that is kept out of training, so that validation is on tissue not seen.

There are three ways. In none of them does a training patch see a pixel of the validation:

- *slides*: whole slides are kept out;
- *blocks*: squares of each slide are kept out, with a gap between them and all training patches;
- *images*: whole images are kept out; tiles that were cut from one slide stay together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.data.sources import IGNORE
from wsi_seg.errors import AnnotationError
from wsi_seg.slides.lattice import Rect
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsi_seg.data.sources import Source
    from wsi_seg.training.data.survey import Survey

GAP = 64
"""Pixels between a block that is kept out and the nearest pixel that training sees."""

BLOCK_SIDES = (2048, 1536, 1024, 768, 512, 384, 256)
DRAWS = 500
FEWEST_SLIDES = 4
NAMED_COPIES = 4
GOOD_DEVIATION = 0.10
"""Largest accepted difference between a class's share in validation and the share asked for."""


@dataclass(frozen=True)
class Split:
    """The parts of the sources for training and for validation.

    Attributes
    ----------
    training : tuple of int
        Indices of the sources that are trained on, completely or in part.
    held_out : tuple of tuples of Rect
        For each source, the rectangles that no training patch may touch, including gaps.
    validation : tuple of (int, Rect)
        Index of the source, and rectangle.
    description : str
        What was kept out, and why nothing of it is trained on, for the report.
    """

    training: tuple[int, ...]
    held_out: tuple[tuple[Rect, ...], ...]
    validation: tuple[tuple[int, Rect], ...]
    description: str

    def with_copies(self, copies: Sequence[str]) -> Split:
        """Return this split, with a description that names the files that are copies of a source."""
        if not copies:
            return self
        shown = ", ".join(copies[:NAMED_COPIES]) + (" ..." if len(copies) > NAMED_COPIES else "")
        return replace(self, description=f"{self.description}; copies count as one slide: {shown}")

    @property
    def unseen(self) -> bool:
        """Whether training sees nothing of the validation data."""
        return any(self.held_out) or not {source for source, _ in self.validation} & set(self.training)


def whole(source: Source) -> Rect:
    """Return the rectangle of all of a source."""
    width, height = source.size
    return Rect(0, 0, height, width)


def nothing_held_out(sources: Sequence[Source], why: str = "") -> Split:
    """Validate on the training data themselves, to see whether a network can learn them at all."""
    because = f", because {why}" if why else ""
    everything = tuple(range(len(sources)))
    return Split(
        everything,
        ((),) * len(sources),
        tuple((i, whole(source)) for i, source in enumerate(sources)),
        f"nothing kept out{because}: the scores are those on the training data themselves, not on unseen "
        "tissue",
    )


def given(sources: Sequence[Source], training: int) -> Split:
    """Take the data set's own split: the first `training` sources for training, the others for validation."""
    return Split(
        tuple(range(training)),
        ((),) * len(sources),
        tuple((i, whole(sources[i])) for i in range(training, len(sources))),
        f"the data set's own: {training} images to train, {len(sources) - training} to validate",
    )


def by_group(
    sources: Sequence[Source],
    surveys: Sequence[Survey],
    groups: Sequence[str],
    classes: int,
    share: float,
    seed: int,
) -> Split | None:
    """Keep whole slides out, or whole groups of images.

    Parameters
    ----------
    sources, surveys : sequences of the same length
    groups : sequence of str
        The group of each source; a group is kept out as a whole or not at all.
    classes : int
    share : float
        Share of the known pixels to keep out.
    seed : int

    Returns
    -------
    Split or None
        None if no choice of groups leaves every class in both training and validation.
    """
    names = sorted(set(groups))
    counts = np.zeros((len(names), classes), np.int64)
    for group, survey in zip(groups, surveys, strict=True):
        counts[names.index(group)] += survey.pixels(classes)
    chosen, _ = _choose(counts, share, seed)
    if chosen is None:
        return None
    out = {names[i] for i in chosen}
    kept = [i for i, group in enumerate(groups) if group in out]
    shown = ", ".join(sorted(out)[:8]) + (" ..." if len(out) > 8 else "")
    return Split(
        tuple(i for i in range(len(sources)) if i not in kept),
        ((),) * len(sources),
        tuple((i, whole(sources[i])) for i in kept),
        f"kept out as a whole: {len(out)} of {len(names)} ({shown}); no pixel of these is trained on",
    )


def by_blocks(
    sources: Sequence[Source],
    surveys: Sequence[Survey],
    classes: int,
    share: float,
    seed: int,
    patch: int,
) -> Split | None:
    """Keep square blocks of the sources out: the largest blocks that share every class fairly.

    Returns
    -------
    Split or None
        None if no choice of blocks gives every class pixels to train on and pixels to validate on.

    Raises
    ------
    AnnotationError
        If no pixel has a known class.
    """
    best: tuple[float, int, list[tuple[int, Rect]]] | None = None
    for side in (s for s in BLOCK_SIDES if s >= patch):
        blocks = [(i, block) for i, source in enumerate(sources) for block in _blocks(whole(source), side)]
        counts = np.stack(
            [_count(surveys[i].within(block), surveys[i].stride, classes) for i, block in blocks]
        )
        known = np.flatnonzero(counts.sum(axis=1))
        chosen, deviation = _choose(counts[known], share, seed)
        if chosen is not None and (best is None or deviation < best[0]):
            best = deviation, side, [blocks[known[i]] for i in chosen]
        if best is not None and best[0] <= GOOD_DEVIATION:
            break
    if not any(len(survey.points_xy(index)) for survey in surveys for index in range(classes)):
        names = ", ".join(source.name for source in sources[:NAMED_COPIES])
        raise AnnotationError(f"{names}: nothing was scanned where the outlines lie: nothing to train on")
    if best is None:
        return None
    _, side, chosen_blocks = best
    held_out = tuple(
        tuple(block.padded(GAP) for i, block in chosen_blocks if i == number)
        for number in range(len(sources))
    )
    return Split(
        tuple(range(len(sources))),
        held_out,
        tuple(chosen_blocks),
        f"kept out: {counted(len(chosen_blocks), f'blocks of {side} x {side} px')}; training patches stay "
        f"{GAP} px away, so no pixel that is kept out is trained on",
    )


def _choose(counts: NDArray[np.int64], share: float, seed: int) -> tuple[list[int] | None, float]:
    """Draw the rows whose sum is closest to the share asked for, for every class.

    Parameters
    ----------
    counts : int64 array, shape (parts, classes)

    Returns
    -------
    rows : list of int, or None
        None if every draw took all or none of a class's pixels, or there are none.
    deviation : float
        Largest difference between a class's share and the share asked for.
    """
    present = counts.sum(axis=0) > 0
    counts = counts[:, present]
    if not counts.size:
        return None, np.inf
    total = counts.sum(axis=0)
    rng = np.random.default_rng(seed)
    best: list[int] | None = None
    smallest = np.inf
    for _ in range(DRAWS):
        order = rng.permutation(len(counts))
        taken = counts[order].cumsum(axis=0) / total
        deviations = np.abs(taken - share).max(axis=1)
        deviations[((taken <= 0) | (taken >= 1)).any(axis=1)] = np.inf
        stop = int(deviations.argmin()) if len(deviations) else 0
        if len(deviations) and deviations[stop] < smallest:
            smallest, best = float(deviations[stop]), sorted(order[: stop + 1].tolist())
    return best, smallest


def _blocks(rect: Rect, side: int) -> list[Rect]:
    return [
        Rect(y, x, y + side, x + side).clipped(rect.width, rect.height)
        for y in range(0, rect.height, side)
        for x in range(0, rect.width, side)
    ]


def _count(cells: NDArray[np.uint8], stride: int, classes: int) -> NDArray[np.int64]:
    return np.bincount(cells.ravel(), minlength=IGNORE + 1)[:classes] * stride**2
