from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsi_seg.annotations.repair import MAX_DOUBT, repair

Ring = Sequence[tuple[float, float]]

SQUARE = [(0, 0), (10, 0), (10, 10), (0, 10)]


def rings(*points: Ring) -> tuple[NDArray[np.float64], ...]:
    return tuple(np.array(ring, dtype=float) for ring in points)


def test_a_sound_shape_is_left_as_it_is() -> None:
    hole = [(2, 2), (4, 2), (4, 4), (2, 4)]

    repaired = repair([rings(SQUARE, hole)])

    assert repaired.remark == ""
    assert repaired.geometry.equals_exact(shapely.Polygon(SQUARE, [hole]))


TAIL = [*SQUARE, (0, -0.2), (0.2, -0.2), (0.2, 0.2), (-0.2, 0.2)]
SPIKED = [*SQUARE[:2], (10, 5), (20, 5), (10, 5), *SQUARE[2:]]
LARGE_HOLE = [(1, 1), (9, 1), (9, 9), (1, 9)]


@pytest.mark.parametrize(
    ("parts", "area", "says"),
    [
        ([[[(0, 0), (10, 10), (10, 0), (0, 10)]]], 50, "crosses itself at (5, 5)"),
        ([[SPIKED]], 100, "crosses itself at (20, 5)"),
        ([[TAIL]], 100.1, "touches itself at (0, 0)"),
        ([[[*SQUARE, *SQUARE]]], 100, "itself"),
        ([[[(0, 0), (4, 0), (2, 2), (4, 4), (0, 4), (2, 2)]]], 8, "touches itself at (2, 2)"),
        ([[SQUARE], [[(9, 0), (19, 0), (19, 10), (9, 10)]]], 190, "crosses itself"),
        ([[SQUARE, [(9, 9), (10.5, 9), (10.5, 10.5), (9, 10.5)]]], 99, "crosses itself"),
        ([[SQUARE, LARGE_HOLE, [(2, 2), (3, 2), (3, 3)]]], 36, "a hole lies in another"),
        (
            [[SQUARE, [(20, 20), (20.1, 20), (20.1, 20.1)]]],
            100,
            "a hole lies outside of its part at (20, 20)",
        ),
    ],
)
def test_slips_of_the_hand_are_repaired_and_named(
    parts: Sequence[Sequence[Ring]], area: float, says: str
) -> None:
    repaired = repair([rings(*part) for part in parts])

    assert repaired.geometry.is_valid
    assert repaired.geometry.area == pytest.approx(area, rel=0.005)
    assert says in repaired.remark


def test_a_hole_without_area_is_left_out() -> None:
    repaired = repair([rings(SQUARE, [(2, 2), (3, 3)], [(5, 5), (5, 5), (5, 5), (5, 5)])])

    assert repaired.geometry.area == 100
    assert "hole" in repaired.remark


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ([], "no points"),
        ([[]], "no points"),
        ([[[]]], "fewer than 3 points"),
        ([[[(0, 0), (1, 1)]]], "fewer than 3 points"),
        ([[[(0, 0), (1, 1), (0, 0), (1, 1), (0, 0)]]], "fewer than 3 points"),
        ([[[(0, 0), (5, 5), (9, 9)]]], "no area"),
        ([[[(0, 0), (float("nan"), 5), (9, 9)]]], "not a finite number"),
        ([[[(0, 0), (float("inf"), 5), (9, 9)]]], "not a finite number"),
        ([[[(0, 0), (1e12, 5), (9, 9)]]], "larger than any slide"),
        ([[SQUARE, SQUARE]], "no area"),
        ([[[(0, 3), (2, -3), (-3, 1), (3, 1), (-2, -3)]]], "not clear what is inside (31% of the area"),
        ([[[*SQUARE, (0, 0), *((x * 0.9 + 0.5, y * 0.9 + 0.5) for x, y in SQUARE)]]], "not clear what is"),
        ([[SQUARE, [(5, 5), (15, 5), (15, 15), (5, 15)]]], "not clear what is inside"),
    ],
)
def test_what_leaves_no_clear_shape_is_refused(parts: Sequence[Sequence[Ring]], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        repair([rings(*part) if part else () for part in parts])


coordinates = st.integers(0, 12).map(float)
outlines = st.lists(st.tuples(coordinates, coordinates), max_size=9)


@given(st.lists(st.lists(outlines, max_size=3), max_size=3))
def test_what_comes_out_is_valid_and_true_to_what_was_drawn(parts: Sequence[Sequence[Ring]]) -> None:
    drawn = [tuple(np.array(ring, dtype=float).reshape(-1, 2) for ring in part) for part in parts]
    try:
        geometry, remark = repair(drawn)
    except ValueError:
        return

    assert geometry.is_valid
    assert geometry.geom_type in {"Polygon", "MultiPolygon"}
    assert geometry.area > 0
    if "hole without area" not in remark and all(len(ring) > 3 for part in drawn for ring in part):
        even_odd = shapely.union_all(shapely.make_valid([shapely.Polygon(*split(p)) for p in drawn if p]))
        differing = shapely.symmetric_difference(geometry, even_odd).area
        assert differing <= (MAX_DOUBT + 1e-9 if remark else 0) * geometry.area


def split(
    part: tuple[NDArray[np.float64], ...],
) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    shell, *holes = part
    return shell, holes
