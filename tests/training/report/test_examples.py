from __future__ import annotations

from pathlib import Path

import numpy as np
from conftest import SCHEMA
from PIL import Image

from wsi_seg.training.report.contents import Example, picture_of
from wsi_seg.training.report.examples import PANEL, painted_panels, save_panels


def test_single_pixels_of_a_class_keep_their_colour_in_the_picture(tmp_path: Path) -> None:
    columns = np.tile(np.array([1, 2], np.uint8), (PANEL, PANEL // 2))
    rgb = np.full((*columns.shape, 3), 200, np.uint8)
    example = Example("one", rgb, columns, columns)
    (tmp_path / picture_of(1, "Prediction")).parent.mkdir(parents=True)
    save_panels([example], SCHEMA, tmp_path)

    painted = np.asarray(painted_panels(example, SCHEMA)[2]).astype(int)
    stored = np.asarray(Image.open(tmp_path / picture_of(1, "Prediction"))).astype(int)

    assert np.abs(painted[:, ::2] - painted[:, 1::2]).max() > 60
    assert np.abs(stored - painted).mean() < 8
