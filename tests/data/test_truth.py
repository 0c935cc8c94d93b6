from __future__ import annotations

import pickle

import numpy as np
import pytest
import shapely
from helpers.drawn import Box
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsi_seg.data.sources import IGNORE
from wsi_seg.data.truth import SlideTruth, TruthSettings
from wsi_seg.models.classes import ClassSchema, TissueClass
from wsi_seg.slides.coarse import CoarseMask
from wsi_seg.slides.lattice import Rect

SCHEMA = ClassSchema(
    name="three",
    background="Glass",
    classes=tuple(
        TissueClass(id=10 + i, name=name, color=(i, 0, 0))
        for i, name in enumerate(["Glass", "Fat", "Tumour"])
    ),
)
WHOLE = Rect(0, 0, 40, 60)
TISSUE = CoarseMask(np.kron([[0, 1, 1], [0, 1, 1]], np.ones((5, 5))).astype(bool), 4)
"""Tissue right of x = 20, in a frame of 60 x 40."""


def truth(
    *shapes: tuple[str | None, Box],
    settings: TruthSettings | None = None,
    tissue: CoarseMask | None = TISSUE,
    recorded: CoarseMask | None = None,
) -> SlideTruth:
    names = [name for name, _ in shapes]
    outlines = [shapely.box(*box) for _, box in shapes]
    return SlideTruth.of(outlines, names, SCHEMA, settings or TruthSettings(), tissue, recorded)


def painted(*boxes: tuple[int, tuple[int, int, int, int]], fill: int = IGNORE) -> NDArray[np.uint8]:
    """The frame, with these indices in these boxes, one over the other."""
    expected = np.full((40, 60), fill, np.uint8)
    for index, (x0, y0, x1, y1) in boxes:
        expected[y0:y1, x0:x1] = index
    return expected


LARGE, SMALL, OTHER = (10, 10, 50, 30), (15, 15, 25, 25), (52, 2, 58, 8)


def test_what_is_not_outlined_is_unknown() -> None:
    np.testing.assert_array_equal(truth(("Tumour", LARGE)).read(WHOLE), painted((2, LARGE)))


def test_indices_are_places_in_the_schema_whatever_the_names_case() -> None:
    read = truth(("tumour", LARGE), ("FAT: Brown", SMALL)).read(WHOLE)

    np.testing.assert_array_equal(read, painted((2, LARGE), (1, SMALL)))


def test_the_rest_is_all_other_tissue() -> None:
    read = truth(("Tumour", LARGE), settings=TruthSettings(rest="fat")).read(WHOLE)

    np.testing.assert_array_equal(read, painted((1, (20, 0, 60, 40)), (2, LARGE)))


@pytest.mark.parametrize("name", [None, "Ignore*", "Artefact*", "tumour*"])
def test_shapes_without_a_class_and_ignored_ones_are_unknown_all_the_same(name: str | None) -> None:
    read = truth(("Tumour", LARGE), (name, SMALL), (name, OTHER), settings=TruthSettings(rest="Fat")).read(
        WHOLE
    )

    expected = painted((1, (20, 0, 60, 40)), (2, LARGE), (IGNORE, SMALL), (IGNORE, OTHER))
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("name", ["Region*", "region*"])
def test_qupaths_own_class_for_areas_that_hold_annotations_says_nothing(name: str) -> None:
    read = truth(("Tumour", SMALL), (name, LARGE), settings=TruthSettings(rest="Fat")).read(WHOLE)

    np.testing.assert_array_equal(read, painted((1, (20, 0, 60, 40)), (2, SMALL)))


@pytest.mark.parametrize("rest", ["glass", None])
@pytest.mark.parametrize("roi", ["Region*", "ROI", "roi "])
def test_regions_of_interest_bound_what_is_known(rest: str | None, roi: str) -> None:
    settings = TruthSettings(rest=rest, roi_class=roi)

    read = truth((roi, LARGE), ("Tumour", SMALL), ("Tumour", OTHER), settings=settings).read(WHOLE)

    np.testing.assert_array_equal(read, painted((0, LARGE), (2, SMALL), (2, OTHER)))


def test_in_regions_of_interest_tissue_is_the_rest_and_glass_is_not() -> None:
    """A window at the edge of a specimen is half glass, which no model of a tissue class is asked for."""
    settings = TruthSettings(rest="Fat", roi_class="ROI")
    shapes = (("ROI", LARGE), ("Tumour", SMALL), ("Tumour", OTHER))

    read = truth(*shapes, settings=settings).read(WHOLE)
    without = truth(*shapes, settings=settings, tissue=None).read(WHOLE)

    np.testing.assert_array_equal(read, painted((1, (20, 10, 50, 30)), (2, SMALL), (2, OTHER)))
    np.testing.assert_array_equal(without, painted((1, LARGE), (2, SMALL), (2, OTHER)))


def test_regions_of_interest_may_overlap_and_hold_what_is_unknown() -> None:
    shapes = (("ROI", LARGE), ("ROI", (15, 5, 30, 35)), (None, SMALL))

    read = truth(*shapes, settings=TruthSettings(rest="Fat", roi_class="ROI")).read(WHOLE)

    expected = painted((1, (20, 10, 50, 30)), (1, (20, 5, 30, 35)), (IGNORE, SMALL))
    np.testing.assert_array_equal(read, expected)


def test_nothing_is_known_where_nothing_was_recorded() -> None:
    recorded = CoarseMask(~TISSUE.mask, 4)

    read = truth(("Tumour", LARGE), settings=TruthSettings(rest="Fat"), recorded=recorded).read(WHOLE)

    expected = painted((2, LARGE))
    assert (read[:, :18] == expected[:, :18]).all()
    assert (read[:, 22:] == IGNORE).all()


boxes = st.tuples(st.integers(0, 50), st.integers(0, 30), st.integers(1, 30), st.integers(1, 30)).map(
    lambda b: (b[0] + 0.3, b[1] + 0.3, b[0] + b[2] + 0.3, b[1] + b[3] + 0.3)
)
drawn = st.lists(st.tuples(st.sampled_from(["Fat", "Tumour", None, "ROI"]), boxes), max_size=6)
choices = st.sampled_from(
    [TruthSettings(), TruthSettings(rest="Fat"), TruthSettings(roi_class="ROI", rest="Fat")]
)


@settings(deadline=None)
@given(drawn, choices, st.sampled_from([1, 2, 4]), st.data())
def test_a_class_does_not_depend_on_the_rectangle(
    shapes: list[tuple[str | None, Box]], chosen: TruthSettings, factor: int, data: st.DataObject
) -> None:
    shapes = [shape for shape in shapes if chosen.roi_class or shape[0] != "ROI"]
    known = pickle.loads(pickle.dumps(truth(*shapes, settings=chosen, recorded=TISSUE)))
    width, height = 60 // factor, 40 // factor
    y0, x0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    part = Rect(y0, x0, data.draw(st.integers(y0 + 1, height)), data.draw(st.integers(x0 + 1, width)))

    whole = known.read(Rect(0, 0, height, width), factor)

    np.testing.assert_array_equal(known.read(part, factor), whole[part.slices])


def test_a_coarser_map_has_the_class_at_each_pixels_centre() -> None:
    known = truth(("Tumour", LARGE), ("Fat", SMALL), settings=TruthSettings(rest="Fat"))

    coarse = known.read(Rect(0, 0, 8, 12), factor=5)

    np.testing.assert_array_equal(coarse, known.read(WHOLE)[2::5, 2::5])


def test_thousands_of_shapes_are_read_in_moments() -> None:
    """A patch of a slide with 20,000 outlined nuclei must not cost more than reading its pixels."""
    rng = np.random.default_rng(0)
    nuclei = shapely.buffer(shapely.points(rng.uniform(0, 20_000, (20_000, 2))), 6, quad_segs=8)
    known = SlideTruth.of(list(nuclei), ["Tumour"] * len(nuclei), SCHEMA, TruthSettings(), None)
    rect = Rect(9000, 9000, 9512, 9512)

    read = known.read(rect)

    x, y = np.meshgrid(np.arange(rect.x0, rect.x1) + 0.5, np.arange(rect.y0, rect.y1) + 0.5)
    near = shapely.union_all(nuclei[shapely.intersects(nuclei, shapely.box(8990, 8990, 9522, 9522))])
    np.testing.assert_array_equal(read == 2, shapely.contains_xy(near, x, y))
