from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_seg.slides.frames import SNAP_TOLERANCE, Bounds, Frames, LevelGrids, level_to_slide, snap_downsample
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.readers.contract import SlideLevel
from wsi_seg.slides.readers.decode import level_scale

sides = st.integers(1, 200_000)
mpps = st.floats(0.1, 4)


def frames(
    x: int = 9153, y: int = 102_664, mpp: tuple[float, float] = (0.25, 0.5), at: float = 2.0
) -> Frames:
    return Frames.at_mpp(Bounds(x=x, y=y, width=10_000, height=8_000), mpp, at)


def test_a_label_pixel_covers_the_slide_pixels_it_should() -> None:
    f = frames()
    assert f.downsample == (8.0, 4.0)
    assert f.label_size == (1250, 2000)
    assert f.label_mpp == (2.0, 2.0)
    np.testing.assert_array_equal(f.label_to_slide([[0, 0], [1, 1]]), [[9153, 102_664], [9161, 102_668]])
    np.testing.assert_array_equal(f.label_to_qupath([[0, 0], [1, 1]]), [[0, 0], [8, 4]])


@given(
    st.lists(st.tuples(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5)), min_size=1), mpps, mpps, st.floats(0.2, 8)
)
def test_conversions_undo_each_other(
    points: list[tuple[float, float]], mx: float, my: float, at: float
) -> None:
    f = frames(mpp=(mx, my), at=at)
    np.testing.assert_allclose(f.slide_to_label(f.label_to_slide(points)), points, atol=1e-6)
    np.testing.assert_allclose(f.qupath_to_label(f.label_to_qupath(points)), points, atol=1e-6)


@given(sides, sides, mpps, st.floats(0.2, 8))
def test_the_label_frame_covers_the_bounds_to_within_half_a_pixel(
    w: int, h: int, mpp: float, at: float
) -> None:
    f = Frames.at_mpp(Bounds(x=0, y=0, width=w, height=h), (mpp, mpp), at)
    for side, label, d in zip((w, h), f.label_size, f.downsample, strict=True):
        assert label == 1 or abs(label * d - side) <= d / 2 + 1e-6
    assert abs(f.label_mpp[0] / at - 1) <= SNAP_TOLERANCE + 1e-9


@given(st.floats(0.05, 500))
def test_snapping_moves_little_and_lands_on_round_numbers(downsample: float) -> None:
    snapped = snap_downsample(downsample)
    assert abs(snapped / downsample - 1) <= SNAP_TOLERANCE
    assert snapped == downsample or abs(snapped * 20 - round(snapped * 20)) < 1e-9


@pytest.mark.parametrize(
    ("asked", "given"), [(4.008, 4.0), (6.2016, 6.25), (8.765, 8.75), (4.2827, 4.25), (0.997, 1.0)]
)
def test_real_downsamples(asked: float, given: float) -> None:
    assert snap_downsample(asked) == given


def test_a_coarser_frame_has_the_same_origin_and_covers_all() -> None:
    f = frames()
    coarse = f.coarsened(4)
    assert coarse.label_size == (313, 500)
    np.testing.assert_array_equal(coarse.label_to_slide([3, 5]), f.label_to_slide([12, 20]))


def over(f: Frames, factor: int) -> LevelGrids:
    """Lay a frame over a level that a slide of just the bounds' end would have."""
    width, height = f.bounds.x + f.bounds.width, f.bounds.y + f.bounds.height
    sides = max(1, width // factor), max(1, height // factor)
    scales = level_scale(width, sides[0]), level_scale(height, sides[1])
    return f.over(SlideLevel(*sides, *scales, tile_width=256, tile_height=256, exact=True))


@st.composite
def laid(draw: st.DrawFn) -> tuple[Frames, Rect]:
    """A frame of a slide with bounds, and a rectangle in it."""
    x, y = draw(st.integers(0, 5000)), draw(st.integers(0, 5000))
    sides = draw(st.integers(500, 5000)), draw(st.integers(500, 5000))
    mpp, at = draw(st.floats(0.2, 1)), draw(st.floats(0.2, 8))
    f = Frames.at_mpp(Bounds(x=x, y=y, width=sides[0], height=sides[1]), (mpp, mpp), max(at, mpp))
    width, height = f.label_size
    x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return f, Rect(y0, x0, draw(st.integers(y0 + 1, height)), draw(st.integers(x0 + 1, width)))


@given(laid(), st.sampled_from([1, 2, 4, 16]))
def test_what_label_pixels_are_made_of_contributes_to_them(case: tuple[Frames, Rect], factor: int) -> None:
    f, rect = case
    grids = over(f, factor)
    source = grids.label_to_level(rect)
    back = grids.level_to_label(source)
    assert back.x0 <= rect.x0
    assert back.y0 <= rect.y0
    # A level whose sides are rounded down ends before the last label pixels.
    assert back.x1 >= rect.x1 or source.x1 == math.ceil(grids.x.upper)
    assert back.y1 >= rect.y1 or source.y1 == math.ceil(grids.y.upper)


def test_level_0_is_the_slide_and_starts_at_its_bounds() -> None:
    f = frames()
    grids = over(f, 1)
    assert grids.label_to_level(Rect(0, 0, 1, 1)) == Rect(102_664, 9153, 102_668, 9161)
    assert grids.level_to_label(Rect(102_664, 9153, 102_668, 9161)) == Rect(0, 0, 1, 1)
    assert grids.level_to_label(Rect(102_667, 9160, 102_669, 9162)) == Rect(0, 0, 2, 2)
    corner = grids.label_to_level(Rect(7, 5, 9, 9))
    assert (f.label_to_slide((5, 7)) == (corner.x0, corner.y0)).all()


@pytest.mark.parametrize(
    ("level_xy", "downsample", "slide_xy"), [((3, 5), 4.0, (12, 20)), ((3, 5), 3.9, (12, 20))]
)
def test_a_level_is_read_from_the_nearest_slide_pixel(
    level_xy: tuple[int, int], downsample: float, slide_xy: tuple[int, int]
) -> None:
    assert level_to_slide(level_xy, downsample) == slide_xy


@given(laid())
def test_the_slide_pixel_under_a_centre_converts_back_to_its_label_pixel(case: tuple[Frames, Rect]) -> None:
    f, rect = case
    bounds = f.bounds
    columns = f.slide_pixels_under(rect.x0, rect.x1, axis=0)
    rows = f.slide_pixels_under(rect.y0, rect.y1, axis=1)
    assert (columns >= bounds.x).all()
    assert (rows >= bounds.y).all()
    assert (columns < bounds.x + bounds.width).all()
    assert (rows < bounds.y + bounds.height).all()
    centre_xy = f.slide_to_label(np.stack([columns, np.full_like(columns, bounds.y)], axis=1) + 0.5)
    reach = 0.5 / f.downsample[0] + 1e-6  # of the pixel that a centre lies in; the last may be cut off
    within = np.abs(centre_xy[:-1, 0] - np.arange(rect.x0, rect.x1 - 1) - 0.5) <= reach
    assert within.all()


@given(laid())
def test_micrometres_convert_back(case: tuple[Frames, Rect]) -> None:
    f, rect = case
    corners = [(rect.x0, rect.y0), (rect.x1, rect.y1)]
    um = f.qupath_to_um(f.label_to_qupath(corners))
    np.testing.assert_allclose(um, np.multiply(corners, f.label_mpp), rtol=1e-12)
    np.testing.assert_allclose(f.label_to_ngff(corners) / f.label_mpp + 0.5, corners, atol=1e-6)
    (width, height), area = np.diff(um, axis=0)[0], rect.area * f.label_pixel_um2
    assert width * height == pytest.approx(area)
    assert f.slide_pixel_um2 * f.downsample[0] * f.downsample[1] == pytest.approx(f.label_pixel_um2)


@given(laid(), st.sampled_from([1, 2, 8]))
def test_coarse_pixels_cover_the_finer_ones_once(case: tuple[Frames, Rect], factor: int) -> None:
    finer, _ = case
    coarse = finer.coarsened(factor)
    width, height = coarse.label_size
    columns = [coarse.pixel_in(finer, x, 0) for x in range(width)]
    rows = [coarse.pixel_in(finer, 0, y) for y in range(height)]
    assert columns[0].x0 == rows[0].y0 == 0
    assert (columns[-1].x1, rows[-1].y1) == finer.label_size
    assert all(a.x1 == b.x0 for a, b in itertools.pairwise(columns))
    assert all(a.y1 == b.y0 for a, b in itertools.pairwise(rows))


def test_cells_are_whole_ones_at_the_bounds() -> None:
    f = Frames.of_cells(Bounds(x=3, y=5, width=100, height=71), (8, 8))
    assert f.label_size == (12, 8)
    np.testing.assert_array_equal(f.label_to_slide((12, 8)), (99, 69))
    assert Frames.of_cells(Bounds(x=0, y=0, width=3, height=3), (8, 8)).label_size == (1, 1)


@given(laid(), st.integers(1, 40))
def test_cells_are_those_that_a_rectangle_meets(case: tuple[Frames, Rect], side: int) -> None:
    _, rect = case
    cells = rect.in_cells(side)
    grown = Rect(cells.y0 * side, cells.x0 * side, cells.y1 * side, cells.x1 * side)
    assert grown.intersection(rect) == rect
    inner = Rect(grown.y0 + side, grown.x0 + side, grown.y1 - side, grown.x1 - side)
    assert inner.y0 > rect.y0
    assert inner.x0 > rect.x0
    assert inner.y1 < rect.y1
    assert inner.x1 < rect.x1
