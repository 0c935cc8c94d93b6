from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

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
