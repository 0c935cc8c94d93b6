"""Shapes that a file holds more than once, as where objects were imported twice or files were merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely

from wsi_seg.annotations.formats.outline import Skipped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsi_seg.annotations.annotation import Annotation


class Once(NamedTuple):
    """Shapes without repeats.

    Attributes
    ----------
    shapes : tuple of Annotation
    repeated : tuple of Skipped
        Those that are left out: the same is drawn again later, with the same class and name.
    redrawn : tuple of Skipped
        Those that have the outline of an earlier shape of another class, both drawn or both detected. Both
        stay, and the later one counts.
    """

    shapes: tuple[Annotation, ...]
    repeated: tuple[Skipped, ...]
    redrawn: tuple[Skipped, ...]


def once(shapes: Sequence[Annotation]) -> Once:
    """Keep the last of shapes that are the same, so that what they paint stays as it was."""
    outline = _alike([shape.geometry for shape in shapes])
    last = {
        _identity(shape, number): i for i, (shape, number) in enumerate(zip(shapes, outline, strict=True))
    }
    below: dict[tuple[int, bool], Annotation] = {}
    kept, repeated, redrawn = [], [], []
    for i, (shape, number) in enumerate(zip(shapes, outline, strict=True)):
        if last[_identity(shape, number)] != i:
            repeated.append(Skipped(shape.order, "drawn again later", shape.class_name))
            continue
        earlier = below.get((number, shape.detected))
        if earlier is not None and earlier.class_name != shape.class_name:
            other = earlier.class_name or "without a class"
            what = f"has the outline of an earlier shape ({other}), and counts, as the later one"
            redrawn.append(Skipped(shape.order, what, shape.class_name))
        below[number, shape.detected] = shape
        kept.append(shape)
    return Once(tuple(kept), tuple(repeated), tuple(redrawn))


def _identity(shape: Annotation, outline: int) -> tuple[int, str | None, str | None, bool]:
    return outline, shape.class_name, shape.name, shape.detected


def _alike(outlines: Sequence[shapely.Geometry]) -> list[int]:
    """Give outlines of the same points one number, wherever their rings begin.

    Only where boxes agree are points compared, as few files hold anything twice.
    """
    geometries: NDArray[np.object_] = np.array(outlines, dtype=object)
    numbers, by_box = list(range(len(outlines))), dict[bytes, list[int]]()
    for i, box in enumerate(shapely.bounds(geometries).reshape(-1, 4) + 0.0):
        by_box.setdefault(box.tobytes(), []).append(i)
    for together in by_box.values():
        if len(together) > 1:
            seen: dict[bytes, int] = {}
            for i, points in zip(
                together, shapely.to_wkb(shapely.normalize(geometries[together])), strict=True
            ):
                numbers[i] = seen.setdefault(points, i)
    return numbers
