from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import damage_tile, tissue_rgb, write_tiff

import wsi_seg as ws
from wsi_seg.errors import MppError, SlideError, UsageError
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.slide import Slide


def test_level_0_is_read_pixel_for_pixel(slide_path: Path) -> None:
    with ws.open_slide(str(slide_path)) as slide:
        assert slide.size == (700, 500)
        rgb = slide.read(x=301, y=17, width=64, height=48)
    np.testing.assert_array_equal(rgb, tissue_rgb(500, 700)[17:65, 301:365])
    assert rgb.mpp == pytest.approx((2.0, 2.0))
    assert rgb.origin_slide_xy == (301, 17)


def test_a_coarser_image_is_the_mean_of_the_pixels_from_that_corner_on(slide_path: Path) -> None:
    with ws.open_slide(slide_path) as slide:
        rgb = slide.read(x=33, y=9, width=40, height=30, mpp=8.0)
    blocks = tissue_rgb(500, 700)[9:129, 33:193].reshape(30, 4, 40, 4, 3).astype(float)
    np.testing.assert_allclose(rgb, blocks.mean(axis=(1, 3)), atol=1)
    assert rgb.frames is not None
    np.testing.assert_allclose(rgb.frames.label_to_slide((10, 5)), (33 + 40, 9 + 20))


def test_the_whole_of_a_slide_is_what_a_run_reads(slide_path: Path) -> None:
    with Slide(slide_path) as slide:
        frames = slide.frames(3.0)
        width, height = frames.label_size
        expected = slide.read(Rect(0, 0, height, width), frames).rgb
    with ws.open_slide(slide_path) as opened:
        rgb = opened.read(x=0, y=0, width=width, height=height, mpp=3.0)
    np.testing.assert_array_equal(rgb, expected)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"x": -1}, "reaches beyond the slide of 700 x 500"),
        ({"x": 690}, "reaches beyond the slide of 700 x 500"),
        ({"y": 470, "mpp": 4.0}, "reaches beyond the slide"),
        ({"width": 0}, "is empty: give 1 or more"),
        ({"height": -3}, "is empty: give 1 or more"),
        ({"width": 10**6, "height": 10**6}, "too many at once"),
        ({"x": 1.5}, "x=1.5: give a whole number of pixels"),
        ({"mpp": -2.0}, "mpp=-2.0 is not a resolution"),
        ({"mpp": float("nan")}, "mpp=nan is not a resolution"),
    ],
)
def test_a_rectangle_that_is_none_is_refused(slide_path: Path, asked: dict[str, Any], words: str) -> None:
    with ws.open_slide(slide_path) as slide, pytest.raises(UsageError, match=words):
        slide.read(**{"x": 0, "y": 0, "width": 16, "height": 16, **asked})


def test_a_slide_gives_no_finer_pixels_than_it_has(slide_path: Path) -> None:
    with ws.open_slide(slide_path) as slide, pytest.raises(MppError, match=r"ask for mpp=2 or more"):
        slide.read(x=0, y=0, width=16, height=16, mpp=0.5)


def test_a_resolution_is_never_guessed(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "slide.tiff", tissue_rgb(64, 64), mpp=None)
    with ws.open_slide(path) as slide, pytest.raises(MppError, match="--mpp"):
        slide.read(x=0, y=0, width=16, height=16, mpp=2.0)
    with ws.open_slide(path, mpp=1.0) as slide:
        assert slide.read(x=0, y=0, width=16, height=16, mpp=2.0).mpp == (2.0, 2.0)


def test_a_tile_that_cannot_be_decoded_is_no_white_tile(tmp_path: Path) -> None:
    path = damage_tile(write_tiff(tmp_path / "slide.tiff", tissue_rgb(256, 256)), 0)
    with ws.open_slide(path) as slide:
        with pytest.raises(SlideError, match="cannot be decoded"):
            slide.read(x=0, y=0, width=64, height=64)
        slide.read(x=128, y=128, width=64, height=64)


def test_what_is_made_of_an_image_does_not_claim_its_place(slide_path: Path) -> None:
    with ws.open_slide(slide_path) as slide:
        rgb = slide.read(x=100, y=100, width=32, height=32)
    for made in (rgb[8:, 8:], rgb[::2, ::2], rgb // 2, np.flip(rgb, 0), rgb.mean(axis=2)):
        assert type(made) is np.ndarray
    assert rgb.copy().mpp is None
    assert rgb.transpose(1, 0, 2).origin_slide_xy is None
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(rgb)), rgb)
