"""How much of each class there is on either side, and whether what is kept out can tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.trainings import draw_boxes, tiny_recipe, write_outlined, write_tiles

from wsi_seg.data.sources import IGNORE
from wsi_seg.training.data.class_extents import ClassExtent, _places, can_tell, extents, tells_nothing
from wsi_seg.training.data.open_data import DataRequest, open_data
from wsi_seg.training.data.survey import Survey

ENOUGH = ClassExtent("Tumour", 9, 100_000, 20_000, 4e-6, 5)


@pytest.mark.parametrize(
    ("given", "doubt"),
    [
        (ENOUGH, None),
        (ClassExtent("Tumour", 9, 100_000, 20_000, 4e-6, 4), "4 pieces kept out, 5 needed"),
        (ClassExtent("Tumour", 9, 100_000, 20_000, 4e-6, 1), "1 piece kept out, 5 needed"),
        (ClassExtent("Tumour", 9, 100_000, 8_000, 4e-6, 7), "0.032 mm2 kept out, 0.05 needed"),
        (ClassExtent("Tumour", 9, 100_000, 0, 4e-6, 0), "none of it kept out"),
        (ClassExtent("Tumour", 1, 0, 20_000, 4e-6, 5), "not trained on"),
        (ClassExtent("Tumour", 0, 0, 0, 4e-6, 0), "the data hold none of it"),
        (ClassExtent("Tumour", 9, 100_000, 20_000, 4e-6, 5, unseen=False), "scored on what was trained on"),
        (ClassExtent("Tumour", None, 100_000, 20, None, 5), None),
        (ClassExtent("Tumour", None, 100_000, 20, None, 1), "1 image kept out, 5 needed"),
    ],
)
def test_why_a_score_cannot_be_trusted(given: ClassExtent, doubt: str | None) -> None:
    assert given.doubt == doubt


def test_one_class_in_doubt_is_enough_not_to_choose_but_an_absent_one_is_not() -> None:
    doubtful = ClassExtent("Stroma", 1, 100, 100, 4e-6, 1)
    absent = ClassExtent("Nerve", 0, 0, 0, 4e-6, 0)
    assert can_tell((ENOUGH, absent))
    assert not can_tell((ENOUGH, doubtful))
    assert not tells_nothing((ENOUGH, doubtful, absent))
    assert tells_nothing((doubtful, absent))


def test_pieces_are_counted_where_they_touch_and_large_ones_by_the_square_millimetre() -> None:
    cells = np.full((100, 100), IGNORE, np.uint8)
    cells[2:12, 2:12] = 1  # 0.01 mm2 at 10 um a cell
    cells[12:20, 12:20] = 1  # touches it at a corner
    cells[30:40, 30:40] = 1
    cells[50:52, 50:52] = 1  # a sliver
    cells[60:65, 60:65] = 0
    survey = Survey(cells, 1)
    assert _places(survey, 1, cell_mm2=1e-4) == 2
    assert _places(survey, 0, cell_mm2=1e-4) == 1
    assert _places(survey, 2, cell_mm2=1e-4) == 0
    assert _places(survey, 1, cell_mm2=3e-2) == 4 + 3 + 1, "4.92, 3 and 0.12 mm2"


def test_of_a_slide_outlines_and_areas_on_both_sides(tmp_path: Path) -> None:
    slide, drawn = write_outlined(tmp_path)
    data = open_data(DataRequest((slide, drawn), working_mpp=2), tiny_recipe(), None)
    stroma, tumour = extents(data)
    assert (stroma.name, stroma.outlines, tumour.outlines) == ("Stroma", 24, 24)
    for index, each in enumerate((stroma, tumour)):
        assert each.trained_mm2 == pytest.approx(data.training_pixels()[index] * 4e-6)
        assert each.kept_out_mm2 == pytest.approx(data.validation_pixels()[index] * 4e-6)
        assert 2 <= each.pieces <= 24


def test_outlines_that_are_large_are_kept_out_in_pieces_of_one(tmp_path: Path) -> None:
    """Two fields and a block out of each: one place of each class, whatever its area."""
    slide, drawn = write_outlined(tmp_path, size=(1536, 1024))
    draw_boxes(drawn, ("Stroma", (10, 10, 710, 1000)), ("Tumour", (760, 10, 1460, 1000)))
    recipe = tiny_recipe("data.patch=256", "data.validation=blocks")
    data = open_data(DataRequest((slide, drawn), working_mpp=2), recipe, None)
    classes = extents(data)
    assert [each.outlines for each in classes] == [1, 1]
    assert [each.pieces for each in classes] == [1, 1]
    assert not can_tell(classes)


def test_of_images_pieces_are_those_that_show_the_class(tmp_path: Path) -> None:
    folder = write_tiles(tmp_path / "tiles", count=10, classes=2)
    data = open_data(DataRequest((folder,)), tiny_recipe(), None)
    kept_out = len(data.split.validation)
    for each in extents(data):
        assert (each.outlines, each.pieces, each.kept_out_mm2) == (None, kept_out, None)
