from __future__ import annotations

import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import label

from wsi_seg.errors import UsageError
from wsi_seg.results.polygons import sieve
from wsi_seg.results.polygons.complete_shapes import Shape
from wsi_seg.results.polygons.sieve import read_sieved
from wsi_seg.results.polygons.tile_tally import Tally
from wsi_seg.results.polygons.vectorise import ArraySource, PolygonSettings, vectorise
from wsi_seg.slides.lattice import Rect


@st.composite
def label_images(draw: st.DrawFn) -> NDArray[np.uint8]:
    """Blocky images with speckles: straight borders, holes, islands in holes, diagonal touches."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    block = draw(st.integers(1, 20))
    coarse = rng.choice([0, 1, 2, 254, 255], (60 // block + 1, 60 // block + 1))
    image = np.kron(coarse, np.ones((block, block)))[:height, :width].astype(np.uint8)
    speckled = rng.random(image.shape) < draw(st.sampled_from([0, 0.02, 0.3]))
    image[speckled] = rng.integers(0, 4, speckled.sum())
    return np.ascontiguousarray(image)


def drawn(image: NDArray[np.uint8], **chosen: Any) -> list[Shape]:
    return list(vectorise(ArraySource(image), PolygonSettings(**chosen)))


def outlines(shapes: Iterable[Shape]) -> Counter[tuple[int, int, bytes]]:
    return Counter((s.class_id, s.area_px, s.polygon.wkb) for s in shapes)


def polygons(shapes: Iterable[Shape]) -> NDArray[np.object_]:
    return np.array([s.polygon for s in shapes])


@settings(deadline=None, max_examples=60)
@given(label_images())
def test_each_component_becomes_one_exact_shape(image: NDArray[np.uint8]) -> None:
    ids = label(image, background=-1, connectivity=1)

    shapes = drawn(image, tile=16)

    expected = Counter(
        (int(image[ids == i][0]), int((ids == i).sum()), shapely.union_all(boxes(ids == i)).normalize().area)
        for i in range(1, ids.max() + 1)
    )
    assert Counter((s.class_id, s.area_px, s.polygon.area) for s in shapes) == expected
    for shape in shapes:
        y, x = np.array(np.nonzero(image == shape.class_id)) + 0.5
        assert shapely.contains_xy(shape.polygon, x, y).sum() == shape.area_px


def boxes(mask: NDArray[np.bool_]) -> NDArray[np.object_]:
    y, x = np.nonzero(mask)
    squares: NDArray[np.object_] = shapely.box(x, y, x + 1, y + 1)
    return squares


@settings(deadline=None, max_examples=60)
@given(label_images(), st.sampled_from([1, 3, 9]))
def test_shapes_do_not_depend_on_the_tiles(image: NDArray[np.uint8], min_area_px: int) -> None:
    whole = drawn(image, tile=64, min_area_px=min_area_px)

    assert outlines(drawn(image, tile=16, min_area_px=min_area_px)) == outlines(whole)
    assert outlines(drawn(image, tile=32, min_area_px=min_area_px)) == outlines(whole)


@settings(deadline=None, max_examples=60)
@given(
    label_images(),
    st.sampled_from([1, 4]),
    st.sampled_from([0, 1.0, 6.0]),
    st.sampled_from([8, 40, 10_000]),
)
def test_shapes_are_a_coverage_of_the_whole_image(
    image: NDArray[np.uint8], min_area_px: int, tolerance_px: float, max_vertices: int
) -> None:
    shapes = drawn(
        image, tile=16, min_area_px=min_area_px, tolerance_px=tolerance_px, max_vertices=max_vertices
    )

    found = polygons(shapes)
    assert shapely.is_valid(found).all()
    assert (shapely.get_type_id(found) == shapely.GeometryType.POLYGON).all()
    assert shapely.coverage_is_valid(found)
    assert shapely.union_all(found).equals(shapely.box(0, 0, image.shape[1], image.shape[0]))
    assert sum(s.area_px for s in shapes) == image.size


@settings(deadline=None, max_examples=60)
@given(label_images(), st.sampled_from([8, 20, 60]))
def test_cut_shapes_keep_to_their_size_and_lose_nothing(image: NDArray[np.uint8], max_vertices: int) -> None:
    shapes = drawn(image, tile=16, max_vertices=max_vertices)

    assert all(shapely.get_num_coordinates(s.polygon) <= max_vertices for s in shapes)
    for value in np.unique(image):
        of_class = [s for s in shapes if s.class_id == value]
        assert sum(s.area_px for s in of_class) == (image == value).sum()
        assert sum(s.polygon.area for s in of_class) == (image == value).sum()
        assert all(s.polygon.area == s.area_px for s in of_class)


@settings(deadline=None, max_examples=60)
@given(label_images())
def test_sieved_shapes_cover_the_sieved_labels(image: NDArray[np.uint8]) -> None:
    sieved, _ = read_sieved(ArraySource(image), Rect(0, 0, *image.shape), 5)

    areas: defaultdict[int, float] = defaultdict(float)
    for shape in drawn(image, tile=16, min_area_px=5):
        areas[shape.class_id] += shape.polygon.area

    assert areas == Counter(dict(zip(*np.unique(sieved, return_counts=True), strict=True)))


def test_confidence_is_the_mean_over_the_shape_across_tiles() -> None:
    rng = np.random.default_rng(0)
    image = (np.indices((50, 50)).sum(axis=0) > 60).astype(np.uint8)
    confidence = rng.integers(0, 256, image.shape, dtype=np.uint8)

    shapes = list(vectorise(ArraySource(image), PolygonSettings(tile=16), ArraySource(confidence)))

    assert len(shapes) == 2
    for shape in shapes:
        assert shape.mean_confidence == pytest.approx(confidence[image == shape.class_id].mean(), rel=1e-12)


def test_no_confidence_is_none() -> None:
    assert drawn(np.zeros((3, 3), dtype=np.uint8))[0].mean_confidence is None


def test_threads_change_nothing() -> None:
    image = np.random.default_rng(1).integers(0, 3, (100, 100), dtype=np.uint8)

    one = drawn(image, tile=16, threads=1, tolerance_px=1.0)
    two = drawn(image, tile=16, threads=3, tolerance_px=1.0)

    assert [(s.class_id, s.polygon.wkb) for s in one] == [(s.class_id, s.polygon.wkb) for s in two]


def test_finished_shapes_leave_while_the_image_is_still_being_read() -> None:
    read = []

    class Slow(ArraySource):
        def read(self, rect: Rect) -> NDArray[np.uint8]:
            read.append(rect)
            return super().read(rect)

    image = np.zeros((160, 160), dtype=np.uint8)
    image[2:5, 2:5] = 1
    stream = vectorise(Slow(image), PolygonSettings(tile=16))

    assert next(stream).class_id == 1
    assert len(read) == 1


def test_a_shape_waits_no_longer_than_one_row_of_tiles() -> None:
    read = []

    class Watched(ArraySource):
        def read(self, rect: Rect) -> NDArray[np.uint8]:
            read.append(rect)
            return super().read(rect)

    image = np.zeros((320, 160), dtype=np.uint8)
    image[10:20, :] = 1

    for shape in vectorise(Watched(image), PolygonSettings(tile=16)):
        if shape.class_id == 1:
            break

    assert shape.polygon.equals(shapely.box(0, 10, 160, 20))
    assert max(r.y0 for r in read) <= 32


def test_memory_does_not_grow_with_the_image() -> None:
    pattern = (np.indices((64, 64)).sum(axis=0) // 7 % 3).astype(np.uint8)

    class Endless(ArraySource):
        def __init__(self, height: int):
            self.shape_ = (height, 128)

        @property
        def shape(self) -> tuple[int, int]:
            return self.shape_

        def read(self, rect: Rect) -> NDArray[np.uint8]:
            rows, columns = np.arange(rect.y0, rect.y1) % 64, np.arange(rect.x0, rect.x1) % 64
            part: NDArray[np.uint8] = pattern[np.ix_(rows, columns)]
            return part

    def peak(height: int) -> tuple[int, int]:
        tracemalloc.start()
        count = sum(1 for _ in vectorise(Endless(height), PolygonSettings(tile=64, max_vertices=2000)))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return count, most

    few, little = peak(512)
    many, most = peak(8 * 512)

    assert many > 5 * few
    assert most < 1.5 * little


def test_noise_that_cannot_be_seen_as_a_whole_is_covered_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sieve, "FIRST_MARGIN", 4)
    monkeypatch.setattr(sieve, "LAST_MARGIN", 4)
    noise = np.random.default_rng(0).integers(0, 8, (160, 160)).astype(np.uint8)
    tally = Tally()

    shapes = list(vectorise(ArraySource(noise), PolygonSettings(tile=32, min_area_px=50), None, tally))

    assert tally.cut_short > 0
    assert {s.polygon.geom_type for s in shapes} == {"Polygon"}
    assert all(s.polygon.is_valid and s.polygon.area == s.area_px for s in shapes)
    assert shapely.union_all([s.polygon for s in shapes]).area == sum(s.area_px for s in shapes) == noise.size


def test_straight_outlines_carry_no_corner_on_former_seams() -> None:
    image = np.zeros((64, 64), dtype=np.uint8)
    image[5:59, 5:59] = 1

    inside = next(s for s in drawn(image, tile=16) if s.class_id == 1)

    assert shapely.get_num_coordinates(inside.polygon) == 5


def test_the_tally_counts_what_could_not_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "LAST_MARGIN", sieve.FIRST_MARGIN)
    tangle = (np.indices((4, 400)).sum(axis=0) % 2).astype(np.uint8)
    tangle[:, 0] = 2
    tally = Tally()

    shapes = list(vectorise(ArraySource(tangle), PolygonSettings(tile=208, min_area_px=10), None, tally))

    assert (tally.tiles, tally.cut_short, tally.less_simplified) == (2, 2, 0)
    assert sum(s.polygon.area for s in shapes) == tangle.size
    assert shapely.is_valid(polygons(shapes)).all()


@pytest.mark.parametrize(("max_vertices", "left"), [(20, 1), (400, 0)])
def test_shapes_that_the_finest_grid_does_not_cut_are_counted(max_vertices: int, left: int) -> None:
    image = np.zeros((256, 256), dtype=np.uint8)
    image[1, 1:16] = image[2:15, 1:16:2] = 1  # a comb, in one cell of 16 px
    tally = Tally()
    settings = PolygonSettings(tile=256, max_vertices=max_vertices)
    shapes = list(vectorise(ArraySource(image), settings, None, tally, unseen=[0]))
    assert (len(shapes), tally.too_many) == (1, left)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_area_px", 0),
        ("tolerance_px", -1.0),
        ("tolerance_px", float("nan")),
        ("max_vertices", 4),
        ("tile", 100),
        ("threads", 0),
    ],
)
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    wrong: dict[str, Any] = {name: value}
    with pytest.raises(UsageError):
        PolygonSettings(**wrong)


@pytest.fixture(scope="module")
def breast_mask(shared_data: Path) -> NDArray[np.uint8]:
    with Image.open(shared_data / "label_masks" / "bcss_TCGA-A1-A0SK.png") as image:
        return np.array(image)


def test_a_pathologists_mask_is_drawn_exactly(breast_mask: NDArray[np.uint8]) -> None:
    shapes = drawn(breast_mask, max_vertices=10**6)

    for value, pixels in zip(*np.unique(breast_mask, return_counts=True), strict=True):
        assert sum(s.polygon.area for s in shapes if s.class_id == value) == pixels
    assert shapely.coverage_is_valid(polygons(shapes))
    assert outlines(shapes) == outlines(drawn(breast_mask, tile=512, max_vertices=10**6))


def test_a_pathologists_mask_keeps_its_areas_when_simplified(breast_mask: NDArray[np.uint8]) -> None:
    shapes = drawn(breast_mask, tile=512, tolerance_px=1.5, min_area_px=50)

    found = polygons(shapes)
    assert shapely.is_valid(found).all()
    assert shapely.coverage_is_valid(found)
    for value in np.unique(breast_mask):
        of_class = [s for s in shapes if s.class_id == value]
        pixels = sum(s.area_px for s in of_class)
        assert sum(s.polygon.area for s in of_class) == pytest.approx(pixels, rel=0.01)


def class_areas(shapes: Iterable[Shape]) -> tuple[dict[int, float], dict[int, float]]:
    """Simplified and exact area of each class."""
    simplified: defaultdict[int, float] = defaultdict(float)
    exact: defaultdict[int, float] = defaultdict(float)
    for shape in shapes:
        simplified[shape.class_id] += shape.polygon.area
        exact[shape.class_id] += shape.area_px
    return simplified, exact


@settings(deadline=None, max_examples=100)
@given(label_images(), st.sampled_from([1.0, 1.5, 8.0]), st.sampled_from([1, 5]))
def test_simplifying_costs_no_class_more_than_a_hundredth_of_its_area(
    image: NDArray[np.uint8], tolerance_px: float, min_area_px: int
) -> None:
    shapes = drawn(image, tile=16, tolerance_px=tolerance_px, min_area_px=min_area_px)
    simplified, exact = class_areas(shapes)
    for class_id, area in exact.items():
        assert abs(simplified[class_id] - area) <= 0.01 * area


def corners(shapes: Iterable[Shape]) -> int:
    return int(shapely.get_num_coordinates(polygons(shapes)).sum())


@settings(deadline=None, max_examples=30)
@given(label_images(), st.sampled_from([1, 5]))
def test_more_tolerance_never_gives_more_corners(image: NDArray[np.uint8], min_area_px: int) -> None:
    counts = [
        corners(drawn(image, tile=16, tolerance_px=tolerance_px, min_area_px=min_area_px))
        for tolerance_px in (0, 1, 1.5, 3, 12)
    ]
    assert counts == sorted(counts, reverse=True)


def test_an_outline_that_turns_once_in_a_tile_gains_no_corners() -> None:
    image = np.zeros((32, 32), dtype=np.uint8)
    image[15:, 15:] = 1
    image[:8, :8] = 1  # so that half a pixel is within a hundredth of the class in the first tile

    assert corners(drawn(image, tile=16, tolerance_px=1)) == corners(drawn(image, tile=16))


def test_more_tolerance_never_gives_more_corners_of_a_pathologists_mask(
    breast_mask: NDArray[np.uint8],
) -> None:
    counts = []
    for tolerance_px in (0, 1.5, 16, 40, 400):
        shapes = drawn(breast_mask, tolerance_px=tolerance_px, min_area_px=50)
        simplified, exact = class_areas(shapes)
        assert all(abs(simplified[i] - area) <= 0.01 * area for i, area in exact.items())
        assert shapely.coverage_is_valid(polygons(shapes))
        counts.append(corners(shapes))
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < 4500


def test_the_tally_tells_how_far_each_class_was_simplified() -> None:
    image = np.zeros((200, 200), dtype=np.uint8)
    y, x = np.mgrid[:200, :200]
    image[np.hypot(x - 60, y - 100) < 50] = 1
    for cx in range(120, 200, 8):
        image[np.hypot(x - cx, y - 100) < 3] = 2
    tally = Tally()

    shapes = list(vectorise(ArraySource(image), PolygonSettings(tolerance_px=7), None, tally))

    assert PolygonSettings(tolerance_px=7).step_px == 6
    assert tally.tolerance(1) == 6
    assert tally.tolerance(2) < 6
    assert 0 < tally.finer <= sum(s.class_id == 2 for s in shapes)
    assert tally.pixels[1] == (image == 1).sum()
    assert tally.pixels.sum() == image.size


def test_shapes_that_are_not_asked_for_are_left_out_and_change_no_other() -> None:
    image = np.random.default_rng(4).integers(0, 4, (70, 90)).astype(np.uint8).repeat(3, 0).repeat(3, 1)
    settings = PolygonSettings(tile=64, tolerance_px=1.5)

    every = list(vectorise(ArraySource(image), settings))
    some = list(vectorise(ArraySource(image), settings, unseen={0, 3}))

    assert some == [shape for shape in every if shape.class_id not in {0, 3}]
    assert {shape.class_id for shape in some} == {1, 2}
