from __future__ import annotations

import json

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from wsi_seg.results.polygons import compiled, compiled_outlines
from wsi_seg.results.polygons.coordinates_text import OutlinePoints

HOLED = shapely.Polygon(shapely.box(0, 0, 10, 10).exterior, [shapely.box(3, 3, 5, 5).exterior])

HUNDREDTHS = st.integers(-(10**14) + 1, 10**14 - 1).map(lambda whole: whole / 100)
NUMBERS = st.one_of(HUNDREDTHS, st.floats(-1e6, 1e6).map(lambda any_: float(np.round(any_, 2))))
TRIANGLES = st.tuples(*[st.tuples(NUMBERS, NUMBERS)] * 3).map(shapely.Polygon)
OUTLINES = st.one_of(
    TRIANGLES,
    st.just(HOLED),
    st.lists(st.one_of(TRIANGLES, st.just(HOLED)), min_size=1, max_size=3).map(shapely.MultiPolygon),
    st.just(shapely.Polygon()),
)


def points_of(outlines: list[shapely.Geometry]) -> OutlinePoints:
    return OutlinePoints.of(np.array(outlines, dtype=object))


@given(st.lists(OUTLINES, max_size=6))
def test_kernels_and_orjson_write_the_same(outlines: list[shapely.Geometry]) -> None:
    points = points_of(outlines)
    library = compiled.kernels()
    offsets = (points.ring_offsets, points.part_offsets, points.outline_offsets)

    assert library is not None
    written = compiled_outlines.coordinates(library, points.xy, offsets, points.several)

    assert written == points.texts_by_orjson() == points.texts


@given(st.lists(OUTLINES, max_size=6))
def test_what_is_written_are_the_coordinates(outlines: list[shapely.Geometry]) -> None:
    for outline, text in zip(outlines, points_of(outlines).texts, strict=True):
        expected = shapely.geometry.mapping(outline)["coordinates"]
        assert json.loads(text) == json.loads(json.dumps(expected))


@pytest.mark.parametrize("number", [0.125, 1e13, 1e16, 1e300, 1 / 3, 5e-324, np.nan, np.inf])
def test_other_numbers_are_written_by_orjson(number: float) -> None:
    points = points_of([HOLED, shapely.box(0, 0, 1, 1)])
    points.xy[7, 1] = number
    library = compiled.kernels()
    offsets = (points.ring_offsets, points.part_offsets, points.outline_offsets)

    assert library is not None
    assert compiled_outlines.coordinates(library, points.xy, offsets, points.several) is None
    assert points.texts == points.texts_by_orjson()


def test_an_outline_in_many_has_the_text_that_it_has_alone() -> None:
    several = shapely.MultiPolygon([shapely.box(20, 0, 21.5, 2), HOLED])
    outlines = [HOLED, several, shapely.Polygon(), shapely.box(-1.25, 0, 2, 3.1)]

    texts = points_of(outlines).texts

    assert texts == [points_of([outline]).texts[0] for outline in outlines]
    assert texts[2] == b"[]"
    assert texts[3] == b"[[[2,0],[2,3.1],[-1.25,3.1],[-1.25,0],[2,0]]]"
    assert texts[1].startswith(b"[[[[21.5,0],[21.5,2],")


def test_offsets_that_do_not_fit_are_refused() -> None:
    points = points_of([HOLED])
    library = compiled.kernels()

    assert library is not None
    with pytest.raises(ValueError, match="offsets"):
        compiled_outlines.coordinates(
            library,
            points.xy[1:],
            (points.ring_offsets, points.part_offsets, points.outline_offsets),
            points.several,
        )
