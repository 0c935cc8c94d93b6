"""Where the tissue of a slide is, for everybody who asks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import damage_tile, tissue_rgb, write_tiff

from wsi_seg.slides import overview as overviews
from wsi_seg.slides.frames import Frames
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.overview import Overview
from wsi_seg.slides.slide import Slide
from wsi_seg.slides.tissue import TissueMask


def test_a_slit_between_scanned_fields_is_cut_out_of_the_tissue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsi_seg.slides.frames.OVERVIEW_SIDE", 400)
    rgb = tissue_rgb(1200, 1600)
    rgb[:, 1200:] = 240
    rgb[600:610, 200:1200] = 240
    with Slide(write_tiff(tmp_path / "fields.tiff", rgb)) as slide:
        overview = Overview(slide, slide.frames(2.0))
        mask = overview.tissue
        whole = TissueMask.of(overview.pixels, overview.frames.label_mpp, overview.factor)
    label = mask.at(Rect(0, 0, 1200, 1600))
    assert (mask.factor, overview.factor) == (4, 4)
    assert not label[602:608, 204:1200].any()
    assert label[:596, :1190].all()
    assert label[616:, :1190].all()
    assert not label[:, 1204:].any()
    assert whole.at(Rect(600, 204, 610, 1100)).all()


def test_without_filling_the_mask_stays_coarse(slide_path: Path) -> None:
    with Slide(slide_path) as slide:
        overview = Overview(slide, slide.frames(2.0))
        assert (overview.factor, overview.tissue.factor) == (1, 8)
        assert overview.recorded.mask.all()


def test_the_bands_are_one_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = damage_tile(write_tiff(tmp_path / "torn.tiff", tissue_rgb(500, 700)), 8)

    def look() -> Overview:
        with Slide(path) as slide:
            overview = Overview(slide, Frames.at_mpp(slide.bounds, slide.mpp, 2.0))
            assert overview.pixels is overview.pixels
            return overview

    bands = look().pixels
    monkeypatch.setattr(overviews, "BANDS", 1)
    whole = look().pixels
    np.testing.assert_array_equal(bands.rgb, whole.rgb)
    np.testing.assert_array_equal(bands.present, whole.present)
    assert bands.unreadable == whole.unreadable != ()
