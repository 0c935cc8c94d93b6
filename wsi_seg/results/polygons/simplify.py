"""Simplify the outlines of a tile together, step by step, and keep each class's area.

Corners are dropped while the triangles that they span are smaller than the tolerance squared (Visvalingam and
Whyatt's measure). The steps are the same whatever tolerance is asked for, and each goes on from the outlines
that the step before it left: the outlines of more tolerance are those of less, without some corners.

A dropped corner takes area from one class and gives it to another, and what is small and round always loses.
Where a step would take a class too far from its area in the tile, some of its outlines are held back for that
step: those that cost most area for each corner that they would lose. All other outlines go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely

from wsi_seg.results.polygons.corners import areas, build, hold
from wsi_seg.results.polygons.coverage import drop_corners
from wsi_seg.results.polygons.tile_tally import LABEL_VALUES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.results.polygons.rings import Rings

STEPS = tuple(first * 2.0**octave for octave in range(11) for first in (1.0, 1.5))
"""In pixels. Below the first only stairs of single pixels could go, beyond the last nothing of a tile."""

ROUNDING = 1.01
"""A step may be larger than what is asked by this factor: label pixels are up to 1 % off a model's mpp."""

LARGEST_SHARE = 0.009
"""Of its area, that a class may gain or lose. Promised is 0.01; rounding what is written needs some."""

TRIES = 6
"""Times in a step that single outlines of a class are held back; after that, all outlines of a class."""


class Simplified(NamedTuple):
    """The polygons of a coverage with some of their corners.

    Attributes
    ----------
    polygons : NDArray of object, shape (n,)
    tolerance : NDArray of float64, shape (n,)
        The largest step that each polygon took part in, in pixels; 0: as it was.
    sound : bool
        False if the steps ended early, for the polygons to stay valid.
    seen_valid : bool
        Whether all of the polygons were looked at, and are valid.
    """

    polygons: NDArray[np.object_]
    tolerance: NDArray[np.float64]
    sound: bool
    seen_valid: bool = False


def steps_within(tolerance: float) -> tuple[float, ...]:
    """Return the steps that a tolerance in pixels allows."""
    return tuple(step for step in STEPS if step <= ROUNDING * tolerance)


def simplify(rings: Rings, class_id: NDArray[np.uint8], tolerance: float) -> Simplified:
    """Simplify the polygons of a coverage together; its outer border stays unchanged.

    Parameters
    ----------
    rings : Rings
        Polygons along pixel edges that form a valid coverage.
    class_id : NDArray of uint8, shape (n,)
        Class of each.
    tolerance : float
        In pixels; the largest of `STEPS` within it is the last one taken.
    """
    steps = steps_within(tolerance)
    taken = _take_all(steps, rings, class_id, each_sound=False)
    if not steps:
        return taken
    if taken.sound and shapely.is_valid(taken.polygons).all():
        return taken._replace(seen_valid=True)
    return _take_all(steps, rings, class_id, each_sound=True)  # which of them is the last sound one


def _take_all(
    steps: tuple[float, ...], rings: Rings, class_id: NDArray[np.uint8], *, each_sound: bool
) -> Simplified:
    """Take steps, as far as they are sound; whether polygons are valid is looked at where `each_sound`."""
    exact, _ = areas(rings)
    reached = np.zeros(len(rings))
    for step in steps:
        taken = _take(step, rings, class_id, exact, each_sound=each_sound)
        if taken is None:
            return Simplified(rings.polygons(), reached, sound=False)
        rings, active = taken
        reached[active] = step
    return Simplified(rings.polygons(), reached, sound=True)


def _take(
    step: float,
    before: Rings,
    class_id: NDArray[np.uint8],
    exact: NDArray[np.float64],
    *,
    each_sound: bool,
) -> tuple[Rings, NDArray[np.bool_]] | None:
    """Take one step with as many polygons as the areas of their classes allow.

    Returns
    -------
    rings : Rings
    active : NDArray of bool
        Which took part. Where one of two neighbours did not, the border between them is as it was.

    None if what it makes of them is not sound.
    """
    active = ~_pinned(before, step)
    moved, kept = drop_corners(before, active, step)
    area, count_by_step = areas(moved)
    if not _same_area(exact, area) or (each_sound and not shapely.is_valid(moved.polygons()).all()):
        return None
    if not _excess(area, class_id, exact).any():
        return moved, active
    first_xy = moved.xy[moved.ring_offsets[:-1]]
    while True:
        kept, count = _hold_back(before, kept, active, class_id, exact)
        changed = count != count_by_step
        held = build(before, kept, changed, first_xy)
        crossed = np.zeros_like(active)
        crossed[changed] = ~shapely.is_valid(held.polygons())
        if not crossed.any():
            after = moved.replaced(changed, held)
            return (after, active) if _same_area(exact, areas(after)[0]) else None
        # A corner that stays may lie beyond a border that went on: that goes back too.
        active &= ~crossed
        kept = hold(before, kept, crossed)


def _excess(
    area: NDArray[np.float64], class_id: NDArray[np.uint8], exact: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return by how much each class strays beyond what it may."""
    whole = np.bincount(class_id, exact, LABEL_VALUES)
    gained = np.bincount(class_id, area - exact, LABEL_VALUES)
    return np.asarray(gained - np.clip(gained, -LARGEST_SHARE * whole, LARGEST_SHARE * whole))


def _hold_back(
    before: Rings,
    kept: NDArray[np.bool_],
    active: NDArray[np.bool_],
    class_id: NDArray[np.uint8],
    exact: NDArray[np.float64],
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Choose polygons to hold back until no class strays.

    A polygon that is held back keeps all its corners, and so do its neighbours along the borders that they
    share: the corners of one place.

    Parameters
    ----------
    before : Rings
        Before the step.
    kept : NDArray of bool, shape (points,)
        Which of their points are left.
    active : NDArray of bool
        Changed in place.
    class_id, exact : NDArray
        Each polygon's class, and its area before any step.

    Returns
    -------
    kept : NDArray of bool, shape (points,)
        Which points stay then.
    count : NDArray of int64, shape (polygons,)
        How many corners of each polygon do.
    """
    whole = np.bincount(class_id, exact, LABEL_VALUES)
    area_before, count_before = areas(before)
    tries = 0
    while True:
        area, count = areas(before, kept)
        excess = _excess(area, class_id, exact)
        if not excess.any():
            return kept, count
        # The class that strays most comes first: what it loses may be all that its neighbours gain.
        # No class strayed before this step: one that does now has active polygons, so the loop ends.
        tries += 1
        worst = np.argmax(np.abs(excess) / np.maximum(whole, 1))
        held = np.flatnonzero(active & (class_id == worst))
        if tries <= TRIES:
            gain = (area - area_before)[held] * np.sign(excess[worst])
            held = held[_costliest(gain, (count_before - count)[held], abs(excess[worst]))]
        active[held] = False
        kept = hold(before, kept, ~active)


def _same_area(exact: NDArray[np.float64], area: NDArray[np.float64]) -> bool:
    """Return whether simplified polygons cover the same area together as before."""
    return bool(np.isclose(area.sum(), exact.sum(), rtol=1e-9))


def _pinned(rings: Rings, step: float) -> NDArray[np.bool_]:
    """Choose polygons to hold back, so that borders from side to side of the tile keep their last corner.

    Where an outline runs straight from tile to tile, the point between them is no corner. Without the last
    corner the points at both ends would be: one corner less in the tile, and two more in the whole.
    """
    at_end = np.zeros(len(rings.xy), dtype=bool)
    for along in rings.xy.T:
        at_end |= (along == along.min()) | (along == along.max())
    # The point that closes a ring is its first again, so that each corner has one ahead and one behind.
    last = np.zeros_like(at_end)
    last[1:-1] = ~at_end[1:-1] & at_end[2:] & at_end[:-2]
    begin, end = rings.ring_offsets[:-1], rings.ring_offsets[1:] - 1
    last[begin] = ~at_end[begin] & at_end[begin + 1] & at_end[end - 1]
    last[end] = False
    index = np.flatnonzero(last)
    ring = np.searchsorted(rings.ring_offsets, index, "right") - 1
    behind = np.where(index == begin[ring], end[ring], index) - 1
    to, back = (rings.xy[other].astype(np.int64) - rings.xy[index] for other in (index + 1, behind))
    triangle = np.abs(to[:, 0] * back[:, 1] - to[:, 1] * back[:, 0]) / 2
    small = triangle <= step * step
    index, owner = index[small], rings.ring_owner[ring[small]]

    # Two polygons share each border: the one of fewer corners is held back.
    place = rings.xy[index, 0].astype(np.int64) << 32 | rings.xy[index, 1]
    order = np.lexsort((rings.points[owner], place))
    _, first = np.unique(place[order], return_index=True)
    pinned = np.zeros(len(rings), dtype=bool)
    pinned[owner[order][first]] = True
    return pinned


def _costliest(gain: NDArray[np.float64], dropped: NDArray[np.int64], excess: float) -> NDArray[np.int64]:
    """Choose polygons to hold back, so that what the others gain together is less by the excess."""
    order = np.argsort(-gain / np.maximum(dropped, 1), kind="stable")
    order = order[gain[order] > 0]
    enough = np.searchsorted(np.cumsum(gain[order]), excess) + 1
    return np.asarray(order[:enough])
