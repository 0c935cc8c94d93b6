"""Surveys: what is known of where, on a coarse grid."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.trainings import Picture
from hypothesis import given, settings
from hypothesis import strategies as st

from wsi_seg.data.sources import IGNORE
from wsi_seg.slides.lattice import Rect
from wsi_seg.training.data import survey as module
from wsi_seg.training.data.survey import Survey, survey_all

SIDES = st.integers(1, 200)


@settings(max_examples=60, deadline=None)
@given(width=SIDES, height=SIDES, seed=st.integers(0, 9), many=st.booleans())
def test_cells_hold_the_class_at_their_centres(width: int, height: int, seed: int, many: bool) -> None:
    picture = Picture.at_random(width, height, seed=seed)
    survey = Survey.of(picture, many)
    assert survey.stride == (min(4, width, height) if many else 1)
    assert survey.cells.shape == (height // survey.stride, width // survey.stride)
    for index in range(2):
        points_xy = survey.points_xy(index)
        assert len(points_xy) == (survey.cells == index).sum()
        assert (picture.classes[points_xy[:, 1], points_xy[:, 0]] == index).all()
    total = sum(len(survey.points_xy(i)) for i in range(2))
    assert survey.pixels(2).sum() == total * survey.stride**2


def test_pixels_are_counted_nearly_as_they_are() -> None:
    picture = Picture.at_random(640, 480, classes=3)
    exact = np.bincount(picture.classes.ravel(), minlength=256)[:3]
    np.testing.assert_array_equal(Survey.of(picture).pixels(3), exact)
    np.testing.assert_allclose(Survey.of(picture, many=True).pixels(3), exact, rtol=0.02)


@settings(max_examples=60, deadline=None)
@given(
    x0=st.integers(-40, 150),
    y0=st.integers(-40, 120),
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    many=st.booleans(),
)
def test_what_is_left_out_leaves_no_cell_that_meets_it(
    x0: int, y0: int, width: int, height: int, many: bool
) -> None:
    survey = Survey.of(Picture.at_random(120, 90), many)
    rect = Rect(y0, x0, y0 + height, x0 + width)
    side = survey.stride
    rows, columns = (np.arange(length) * side for length in survey.cells.shape)
    meets_y = (rows < rect.y1) & (rows + side > rect.y0)
    meets_x = (columns < rect.x1) & (columns + side > rect.x0)
    expected = np.where(meets_y[:, None] & meets_x, IGNORE, survey.cells)
    np.testing.assert_array_equal(survey.without([rect]).cells, expected)
    assert survey.within(rect).size == (meets_y[:, None] & meets_x).sum()


def test_large_pictures_are_surveyed_coarsely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CELLS", 1000)
    monkeypatch.setattr(module, "SMALL", 1000)
    survey = Survey.of(Picture.at_random(400, 300))
    assert survey.stride == 16
    assert survey.cells.size <= 1000


def test_many_pictures_are_surveyed_coarsely(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [Picture.at_random(40, 30, seed=i) for i in range(3)]
    assert [survey.stride for survey in survey_all(pictures)] == [1, 1, 1]
    monkeypatch.setattr(module, "FEW", 2 * 40 * 30)
    assert [survey.stride for survey in survey_all(pictures)] == [4, 4, 4]
