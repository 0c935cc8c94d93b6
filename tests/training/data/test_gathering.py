"""From what a command names to what a training sees."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.qupath_projects import write_project_of
from helpers.trainings import tiny_recipe, write_outlined

from wsi_seg.errors import UsageError
from wsi_seg.training.data.gathering import DataRequest, open_data


def test_a_project_and_its_outlines_are_slides_and_annotations(tmp_path: Path) -> None:
    slide, drawn = write_outlined(tmp_path)
    (tmp_path / "outlines").mkdir()
    outlines = shutil.copy(drawn, tmp_path / "outlines" / f"{slide.stem}.geojson")
    project = write_project_of(tmp_path / "study" / "project.qpproj", slide, tmp_path / "other.svs")
    recipe = tiny_recipe()
    of_project = open_data(DataRequest((project.parent, tmp_path / "outlines"), working_mpp=2), recipe, None)
    of_pair = open_data(DataRequest((slide, Path(outlines)), working_mpp=2), recipe, None)
    (one,), (other,) = of_project.sources, of_pair.sources
    assert one.size == other.size
    np.testing.assert_array_equal(one.class_map(8), other.class_map(8))
    assert of_project.remarks == (f"{project}: 1 image without outlines: other.svs", *of_pair.remarks)


def test_a_projects_folder_is_no_data_set(tmp_path: Path) -> None:
    project = write_project_of(tmp_path / "study" / "project.qpproj", tmp_path / "a.svs")
    with pytest.raises(
        UsageError, match=r"project\.qpproj: a QuPath project without its outlines: give their"
    ):
        open_data(DataRequest((project.parent,)), tiny_recipe(), None)
