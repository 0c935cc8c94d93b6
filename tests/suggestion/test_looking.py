"""Windows as a network sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import damage_tile, tissue_rgb, write_tiff
from helpers.drawn import Box, write_boxes
from numpy.typing import NDArray

from wsi_seg.annotations.annotation_files import AnnotationFiles
from wsi_seg.models.bundle import load_bundle
from wsi_seg.models.network import NetworkConfig
from wsi_seg.settings import LabelSettings
from wsi_seg.slides.lattice import Rect
from wsi_seg.suggestion.asked_slides import AskedSlide
from wsi_seg.suggestion.ground import Ground, Window
from wsi_seg.suggestion.looking import Patches, look, points_along, summarise
from wsi_seg.suggestion.seeing import POINT, SeeingNetwork, Seen

MPP = 2.0


def ground_of(slide: Path, *drawn: tuple[str, Box]) -> Ground:
    outlines = (write_boxes(slide.with_suffix(".geojson"), *drawn),) if drawn else ()
    return Ground.of(AskedSlide(slide, outlines), MPP, LabelSettings(), AnnotationFiles())


@pytest.fixture(scope="module")
def config(model_path: Path) -> NetworkConfig:
    return load_bundle(model_path).network.config


def colours(rgb: NDArray[np.uint8]) -> Seen:
    """Show a patch's own pixels in the place of features, as a network would its map at 1/8."""
    centres = rgb[POINT // 2 :: POINT, POINT // 2 :: POINT].transpose(2, 0, 1).astype(np.float32)
    return Seen(centres / np.float32(255), centres[0] / np.float32(255), centres)


@pytest.mark.parametrize("rect", [Rect(0, 0, 120, 120), Rect(137, 203, 257, 323), Rect(380, 580, 500, 700)])
def test_a_point_shows_its_own_place(slide_path: Path, config: NetworkConfig, rect: Rect) -> None:
    ground = ground_of(slide_path)
    with ground.open() as slide:
        view = look(ground, slide, rect, Patches.of((120, 120), config), colours)
        pixels = slide.read(rect, ground.frames).rgb
    points = points_along(120)
    assert view.features.shape == (3, 15, 15)
    assert np.array_equal(view.features, pixels[np.ix_(points, points)].transpose(2, 0, 1))


def test_a_large_window_is_put_together_of_patches(tmp_path: Path, config: NetworkConfig) -> None:
    slide_path = write_tiff(tmp_path / "large.tiff", tissue_rgb(2300, 2300))
    ground, rect = ground_of(slide_path), Rect(50, 70, 2250, 2270)
    patches = Patches.of((2200, 2200), config)
    assert len(patches.lattice) > 1
    with ground.open() as slide:
        view = look(ground, slide, rect, patches, colours)
        pixels = slide.read(rect, ground.frames).rgb
    points = points_along(2200)
    assert np.array_equal(view.features, pixels[np.ix_(points, points)].transpose(2, 0, 1))


def test_outlined_and_unreadable_pixels_are_not_open(tmp_path: Path, config: NetworkConfig) -> None:
    slide_path = write_tiff(tmp_path / "slide.tiff", tissue_rgb(384, 384))
    drawn = ground_of(slide_path, ("Tumour", (0, 0, 112, 384)))
    damage_tile(slide_path, 2)  # right, above
    with drawn.open() as slide:
        view = look(drawn, slide, Rect(0, 0, 384, 384), Patches.of((384, 384), config), colours)
    assert view.outlined[:, :14].all()
    assert not view.outlined[:, 14:].any()
    assert not view.open[:, :14].any()
    assert not view.open[:16, 32:].any()
    assert view.open[16:, 16:].all()
    summary = summarise(0, Window(Rect(0, 0, 384, 384), candidate=True, outlined=True), view)
    assert summary is not None
    assert summary.share == pytest.approx(view.open.mean())
    assert len(summary.known) == 4  # cells that are outlined wholly, not those by a sixth


def test_a_network_shows_what_it_decides_and_its_widest_map(model_path: Path, slide_path: Path) -> None:
    bundle = load_bundle(model_path)
    seeing = SeeingNetwork(bundle, torch.device("cpu"))
    seen = seeing(tissue_rgb(128, 192))
    assert seen.probabilities.shape == (3, 16, 24)
    assert seen.unsure.shape == (16, 24)
    assert seen.features.shape == (256, 16, 24)
    assert np.allclose(seen.probabilities.sum(axis=0), 1, atol=1e-5)
    assert 0 < seen.unsure.min() <= seen.unsure.max() <= 1 + 1e-6
    again = seeing(tissue_rgb(128, 192))
    assert all(np.array_equal(a, b) for a, b in zip(seen, again, strict=True))
