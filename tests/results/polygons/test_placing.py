from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsi_seg.results.polygons import placing
from wsi_seg.results.polygons.complete_shapes import Shape
from wsi_seg.results.polygons.placing import Placed, place, valid_in_qupath
from wsi_seg.slides.frames import Bounds, Frames


def frames(downsample: float, side: int = 300_000) -> Frames:
    return Frames(
        bounds=Bounds(x=9153, y=17, width=side, height=side),
        slide_mpp=(0.25, 0.25),
        downsample=(downsample, downsample),
        label_size=(int(side / downsample), int(side / downsample)),
    )


def placed(polygon: shapely.Polygon, downsample: float = 1.0) -> Placed:
    (result,) = place([Shape(1, polygon, 1, None)], frames(downsample))
    return result


def test_outlines_are_in_the_qupath_frame() -> None:
    result = placed(shapely.box(10, 20, 30, 40), downsample=4.0)

    assert result.outline_qupath.equals(shapely.box(40, 80, 120, 160))
    assert not result.repaired


@given(st.integers(0, 300_000), st.integers(1, 400))
def test_snapped_downsamples_give_multiples_of_a_twentieth(corner: int, twentieths: int) -> None:
    downsample = twentieths / 20
    x = np.array(
        placed(shapely.box(corner, corner, corner + 7, corner + 9), downsample).outline_qupath.bounds
    )

    assert (x == np.round(x * 20) / 20).all()
    np.testing.assert_allclose(x, np.array([corner, corner, corner + 7, corner + 9]) * downsample, atol=1e-9)


def test_an_outline_that_rounding_would_pinch_is_repaired() -> None:
    pinched = shapely.Polygon([(0, 0), (10, 0), (10, 10), (5, 0.004), (0, 10)])
    assert pinched.is_valid

    result = placed(pinched)

    assert result.repaired
    assert result.outline_qupath.geom_type == "MultiPolygon"
    assert valid_in_qupath(np.array([result.outline_qupath])).all()
    assert result.outline_qupath.area == pytest.approx(pinched.area, rel=1e-3)


def test_an_outline_that_single_precision_would_break_is_repaired() -> None:
    far = 300_000
    thin = shapely.Polygon(
        [(far, far), (far + 10, far), (far + 10, far + 10), (far + 5, far + 0.01), (far, far + 10)]
    )
    assert thin.is_valid
    assert not valid_in_qupath(np.array([thin])).any()

    result = placed(thin)

    assert result.repaired
    assert valid_in_qupath(np.array([result.outline_qupath])).all()


@pytest.mark.parametrize(
    ("downsample", "side", "seen_valid", "tested"),
    [
        (4.25, 35_520, True, 0),
        (4.25, 35_520, False, 1),  # nobody looked
        (4.05, 35_520, True, 1),  # rounding moves corners
        (4.25, 5_000_000, True, 1),  # single precision has no quarters that far
    ],
)
def test_a_shape_that_was_seen_to_be_valid_is_tested_where_its_corners_move(
    downsample: float, side: int, seen_valid: bool, tested: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = 0

    def counted(outlines: NDArray[np.object_]) -> NDArray[np.bool_]:
        nonlocal looked_at
        looked_at += len(outlines)
        return valid_in_qupath(outlines)

    monkeypatch.setattr(placing, "valid_in_qupath", counted)
    shape = Shape(1, shapely.box(1, 1, 3, 3), 4, None, seen_valid)

    (result,) = place([shape], frames(downsample, side))

    assert looked_at == tested
    assert not result.repaired


@given(st.integers(1, 400), st.integers(0, 2**24))
def test_quarters_are_held_by_qupath_as_they_are(quarters: int, corner: int) -> None:
    corner %= 2**24 // quarters + 1
    grid = frames(quarters / 4, 2**22)
    assert placing._exact_in_qupath(grid)

    exact = Fraction(quarters, 4) * corner
    x = float(placing._rounded(grid.label_to_qupath([[corner, 0]]))[0, 0])

    assert Fraction(x) == exact
    assert Fraction(float(np.float32(x))) == exact


def test_what_vanishes_is_empty() -> None:
    result = placed(shapely.box(1.001, 1.001, 1.002, 1.002))

    assert result.repaired
    assert result.outline_qupath.is_empty


def test_neighbours_stay_neighbours_when_rounded() -> None:
    left, right = shapely.box(0, 0, 5, 9), shapely.box(5, 0, 9, 9)
    shapes = [Shape(1, left, 45, None), Shape(2, right, 36, None)]

    one, other = (p.outline_qupath for p in place(shapes, frames(2.3456789)))

    assert shapely.coverage_is_valid([one, other])


def test_shapes_are_taken_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "BATCH", 3)
    taken = []

    def shapes() -> Iterator[Shape]:
        for i in range(8):
            taken.append(i)
            yield Shape(i, shapely.box(i, 0, i + 1, 1), 1, None)

    results = place(shapes(), frames(1.0))

    assert next(results).shape.class_id == 0
    assert taken == [0, 1, 2]
    assert [p.shape.class_id for p in results] == [1, 2, 3, 4, 5, 6, 7]
