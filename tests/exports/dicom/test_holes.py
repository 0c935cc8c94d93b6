"""Polygons with holes, cut into pieces without: the same area, point for point."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from wsi_seg.exports.dicom.holes import without_holes


def squares(corners: list[tuple[int, int]], side: int = 4) -> list[list[tuple[int, int]]]:
    return [[(x, y), (x + side, y), (x + side, y + side), (x, y + side)] for x, y in corners]


def check(polygon: shapely.Polygon) -> list[shapely.Polygon]:
    pieces = list(without_holes(polygon))
    assert all(piece.is_valid and not piece.interiors and piece.area > 0 for piece in pieces)
    assert sum(piece.area for piece in pieces) == pytest.approx(polygon.area, rel=1e-12)
    assert shapely.symmetric_difference(shapely.union_all(pieces), polygon).area < 1e-9 * polygon.area
    return pieces


def test_a_polygon_without_holes_stays_as_it_is() -> None:
    triangle = shapely.Polygon([(0, 0), (7, 1), (3, 9)])
    assert list(without_holes(triangle)) == [triangle]


def test_one_hole_makes_two_pieces_that_meet() -> None:
    frame = shapely.Polygon([(0, 0), (20, 0), (20, 10), (0, 10)], squares([(8, 3)]))
    left, right = check(frame)
    assert left.bounds[2] == right.bounds[0] == 10


def test_holes_in_holes_rows_and_corners_are_all_cut() -> None:
    grid = [(x, y) for x in range(2, 92, 10) for y in range(2, 42, 10)]
    assert len(check(shapely.Polygon([(0, 0), (95, 0), (95, 45), (0, 45)], squares(grid)))) < len(grid)
    touching = shapely.Polygon([(0, 0), (30, 0), (30, 30), (0, 30)], squares([(5, 5), (9, 9), (13, 13)]))
    check(touching)
    shell = shapely.Polygon([(0, 0), (40, 0), (40, 40), (0, 40)], [[(5, 5), (35, 5), (35, 35), (5, 35)]])
    assert len(check(shell)) == 2


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 40))
def test_no_area_is_lost_whatever_the_shape(seed: int, spots: int) -> None:
    rng = np.random.default_rng(seed)
    discs = shapely.buffer(shapely.points(rng.uniform(0, 100, (spots, 2))), rng.uniform(1, 12, spots))
    holed = shapely.box(0, 0, 100, 60).difference(shapely.union_all(discs))
    for part in shapely.get_parts(holed):
        check(part)
