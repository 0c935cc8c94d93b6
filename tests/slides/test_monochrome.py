from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.drawn_tiffs import GREY, RGB

from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.monochrome import only_channel
from wsi_seg.slides.slide import Slide, SlidePixels

NOISE = np.random.default_rng(0).integers(-6, 7, RGB.shape)


def shown(rgb: np.ndarray, present: np.ndarray | None = None) -> str | None:
    everywhere = np.ones(rgb.shape[:2], dtype=bool)
    pixels = np.clip(rgb, 0, 255).astype(np.uint8)
    return only_channel(SlidePixels(pixels, everywhere if present is None else present))


def grey() -> np.ndarray:
    return np.repeat(GREY[..., None], 3, axis=2).astype(int)


def test_grey_is_difference_to_colour() -> None:
    assert shown(grey()) == "grey"
    assert shown(grey() + NOISE) == "grey"
    assert shown(RGB) is None


@pytest.mark.parametrize(("channel", "name"), [(0, "red"), (1, "green"), (2, "blue")])
def test_one_dye_alone(channel: int, name: str) -> None:
    rgb = np.zeros(RGB.shape, int)
    rgb[..., channel] = GREY
    assert shown(rgb + NOISE) == name
    rgb[100:120, 100:120, (channel + 1) % 3] = 90
    assert shown(rgb) is None


def test_black_is_no_picture() -> None:
    assert shown(np.zeros(RGB.shape, int)) == "black"
    assert shown(np.abs(NOISE)) == "black"
    assert shown(grey() // 2) == "grey"
    assert shown(np.full(RGB.shape, 255)) is None


def test_a_little_tissue_on_neutral_glass_is_colour() -> None:
    rgb = np.full((1000, 1000, 3), 240)
    assert shown(rgb) is None  # nothing on it that could be grey
    rgb[500:520, 500:520] = (170, 90, 160)
    assert shown(rgb) is None


def test_what_was_not_recorded_does_not_count() -> None:
    rgb = grey()
    rgb[:50] = (255, 0, 0)
    present = np.ones(rgb.shape[:2], dtype=bool)
    assert shown(rgb, present) is None
    present[:50] = False
    assert shown(rgb, present) == "grey"
    assert shown(rgb, np.zeros_like(present)) is None


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("breast_A03.tiff", None),
        ("CMU-1-Small-Region.svs", None),
        ("no_mpp.svs", None),
        ("Mirax2-Fluorescence-2.mrxs", None),
        ("test3-DAPI.ndpi", "blue"),
    ],
)
def test_real_slides(shared_data: Path, name: str, channel: str | None) -> None:
    with Slide(shared_data / "slides" / name, mpp=0.5) as slide:
        frames = slide.frames(0.5)
        frames = frames.coarsened(2**frames.overview_level)
        width, height = frames.label_size
        assert only_channel(slide.read(Rect(0, 0, height, width), frames)) == channel
