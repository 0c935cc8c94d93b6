"""Windows as the network sees them, in bounded memory: one patch at a time, and of each window a summary."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.inference.stream.region import mirrored
from wsi_seg.predict.sizes import STEP, patch_and_halo
from wsi_seg.settings import LabelSettings
from wsi_seg.slides.lattice import Lattice, Rect
from wsi_seg.suggestion.seeing import POINT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from wsi_seg.models.network import NetworkConfig
    from wsi_seg.slides.slide import Slide
    from wsi_seg.suggestion.ground import Ground, Window
    from wsi_seg.suggestion.seeing import Seen

CELLS = 4
"""Cells along a window's side: what is small in a window must not drown in the mean over all of it."""

FEWEST_POINTS = 0.25
"""Share of a cell's points that are open, or outlined, for it to stand for such tissue."""

LARGEST_PATCH = 2048
"""A window up to this size, context included, goes through the network in one piece."""


@dataclass(frozen=True)
class View:
    """A window, point by point: points lie `POINT` label pixels apart.

    Attributes
    ----------
    probabilities : float32 array, shape (classes, rows, columns)
    unsure : float32 array, shape (rows, columns)
    features : float32 array, shape (channels, rows, columns)
    open : bool array, shape (rows, columns)
        Tissue that is not outlined.
    outlined : bool array, shape (rows, columns)
        What is outlined, tissue or not, so far as it was scanned and can be read.
    """

    probabilities: NDArray[np.float32]
    unsure: NDArray[np.float32]
    features: NDArray[np.float32]
    open: NDArray[np.bool_]
    outlined: NDArray[np.bool_]


@dataclass(frozen=True)
class Looked:
    """The summary of a window.

    Attributes
    ----------
    slide : int
        Which of the slides.
    window : Window
    share : float
        Of the window that is open.
    unsure : float
        Mean over what is open, 0 to 1.
    leaning : float32 array, shape (classes,)
        What the network thinks of, where it is unsure: mean probabilities, weighted by doubt.
    features : float32 array, shape (cells, channels)
        Means over what is open in each cell that holds enough of it.
    doubts : float32 array, shape (cells,)
        Doubt in each of these, summed over its points.
    known : float32 array, shape (cells, channels)
        Means over what is outlined in each cell that holds enough of it.
    """

    slide: int
    window: Window
    share: float
    unsure: float
    leaning: NDArray[np.float32]
    features: NDArray[np.float32]
    doubts: NDArray[np.float32]
    known: NDArray[np.float32]


@dataclass(frozen=True)
class Patches:
    """How windows of one size are cut into patches.

    Attributes
    ----------
    lattice : Lattice
        Over a window, as if it were a slide.
    """

    lattice: Lattice

    @classmethod
    def of(cls, side: tuple[int, int], config: NetworkConfig) -> Patches:
        """Cut windows of a width and a height so that the network takes them, with the context it needs."""
        longest = max(side)
        _, halo = patch_and_halo(LabelSettings(), config, longest)
        whole = -(-(longest + 2 * halo) // STEP) * STEP
        labels = LabelSettings()
        if config.side is None and whole <= LARGEST_PATCH:
            labels = LabelSettings(patch=whole, overlap=2 * halo)
        patch, halo = patch_and_halo(labels, config, longest)
        return cls(Lattice(*side, patch, halo, 1))

    @property
    def pixels(self) -> int:
        """What goes through the network for a window, in label pixels."""
        return len(self.lattice) * self.lattice.patch**2


def look(
    ground: Ground, slide: Slide, rect: Rect, patches: Patches, network: Callable[[NDArray[np.uint8]], Seen]
) -> View:
    """Look at a window.

    Parameters
    ----------
    ground : Ground
    slide : Slide
        Open, of that ground.
    rect : Rect
        The window, in label pixels.
    patches : Patches
    network : callable
        A `SeeingNetwork`.

    Raises
    ------
    SlideError
        If the slide can no longer be opened.
    DeviceError
        If the device runs out of memory.
    """
    rows, columns = points_along(rect.height), points_along(rect.width)
    maps: tuple[NDArray[np.float32], ...] = ()
    readable = np.ones((rect.height, rect.width), dtype=np.bool_)
    for region in patches.lattice.regions():
        (patch,) = region.patches()
        core, seen_rect = (_moved(part, rect) for part in (patch.core, patch.rect))
        rgb, sound = _read(slide, ground, seen_rect)
        readable[core.relative_to(rect).slices] = sound[core.relative_to(seen_rect).slices]
        seen = network(rgb)
        if not maps:
            maps = tuple(
                np.zeros((*each.shape[:-2], len(rows), len(columns)), dtype=np.float32) for each in seen
            )
        within_y = np.flatnonzero((rows >= patch.core.y0) & (rows < patch.core.y1))
        within_x = np.flatnonzero((columns >= patch.core.x0) & (columns < patch.core.x1))
        for whole, part in zip(maps, seen, strict=True):
            y = (rows[within_y] - patch.rect.y0) * part.shape[-2] // patch.rect.height
            x = (columns[within_x] - patch.rect.x0) * part.shape[-1] // patch.rect.width
            whole[..., within_y[:, None], within_x] = part[..., y[:, None], x]
    probabilities, unsure, features = maps
    at = np.ix_(rows, columns)
    outlined = ground.outlined_at(rect)[at] & readable[at]
    tissue = ground.tissue.at(rect)[at] & readable[at]
    return View(probabilities, unsure, features, tissue & ~outlined, outlined)


def summarise(slide: int, window: Window, view: View) -> Looked | None:
    """Return the summary of a view; None if nothing of it is either open or outlined."""
    if not (view.open.any() or view.outlined.any()):
        return None
    features: list[NDArray[np.float32]] = []
    known: list[NDArray[np.float32]] = []
    doubts: list[float] = []
    for cell in _cells(view.open.shape):
        fewest = max(1, FEWEST_POINTS * view.open[cell].size)
        for mask, means in ((view.open, features), (view.outlined, known)):
            if np.count_nonzero(mask[cell]) >= fewest:
                means.append(view.features[(slice(None), *cell)][:, mask[cell]].mean(axis=1))
                if means is features:
                    doubts.append(float(view.unsure[cell][mask[cell]].sum()))
    channels = view.features.shape[0]
    doubt = np.where(view.open, view.unsure, 0)
    leaning = (view.probabilities * doubt).sum(axis=(1, 2))
    free = max(1, int(np.count_nonzero(view.open)))
    return Looked(
        slide=slide,
        window=window,
        share=free / view.open.size,
        unsure=float(doubt.sum() / free),
        leaning=leaning / max(float(leaning.sum()), 1e-12),
        features=np.array(features, dtype=np.float32).reshape(-1, channels),
        doubts=np.array(doubts, dtype=np.float32),
        known=np.array(known, dtype=np.float32).reshape(-1, channels),
    )


def points_along(side: int) -> NDArray[np.intp]:
    """Return where points lie along a window's side, in its own label pixels."""
    return np.arange(max(1, side // POINT)) * POINT + min(POINT, side) // 2


def _cells(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    ends_y, ends_x = (np.linspace(0, side, min(CELLS, side) + 1).astype(int).tolist() for side in shape)
    for y0, y1 in pairwise(ends_y):
        for x0, x1 in pairwise(ends_x):
            yield slice(y0, y1), slice(x0, x1)


def _moved(part: Rect, window: Rect) -> Rect:
    """Return a rectangle that is counted from a window's corner in the slide's label frame."""
    return Rect(part.y0 + window.y0, part.x0 + window.x0, part.y1 + window.y0, part.x1 + window.x0)


def _read(slide: Slide, ground: Ground, rect: Rect) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Read a patch, mirrored where it reaches beyond the slide, and where its pixels are sound."""
    width, height = ground.frames.label_size
    rows, columns = mirrored(rect.y0, rect.y1, height), mirrored(rect.x0, rect.x1, width)
    inner = Rect(int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)
    pixels = slide.read(inner, ground.frames)
    sound = pixels.present.copy()
    for bad in pixels.unreadable:
        sound[bad.intersection(inner).relative_to(inner).slices] = False
    at = np.ix_(rows - inner.y0, columns - inner.x0)
    return np.ascontiguousarray(pixels.rgb[at]), sound[at]
