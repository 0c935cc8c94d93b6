"""From labels to polygons in QuPath's file, and back to labels: the loop that corrections go round.

The same on real slides is in `test_real_slides`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import tissue_rgb, write_tiff
from helpers.results import share_that_comes_back

from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.settings import ExportSettings, LabelSettings, PredictSettings

EXACT = ExportSettings(simplify_um=0, min_area_um2=0)
SMALL = LabelSettings(patch=192, overlap=64, region_cores=1)


@pytest.mark.parametrize("mpp", [2.0, 1.37])
def test_labels_come_back_from_polygons(tmp_path: Path, model_path: Path, mpp: float) -> None:
    side = round(300 * 2.0 / mpp)
    slide = write_tiff(tmp_path / "slide.tiff", tissue_rgb(side, side + 64), mpp=mpp)
    predict_slide(slide, tmp_path / "out", PredictSettings(model=str(model_path), export=EXACT, labels=SMALL))
    assert share_that_comes_back(tmp_path / "out") == 1.0
