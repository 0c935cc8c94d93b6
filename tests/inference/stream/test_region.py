from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
import torch
from conftest import SCHEMA, damage_tile, tissue_rgb, write_model, write_tiff
from hypothesis import given
from hypothesis import strategies as st

from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.inference.stream.extent import Extent
from wsi_seg.inference.stream.region import RegionSegmenter, mirrored
from wsi_seg.models.bundle import load_bundle
from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID
from wsi_seg.slides.lattice import Lattice, Rect
from wsi_seg.slides.slide import Slide
from wsi_seg.slides.tissue import TissueMask

EVERYWHERE = Extent(tissue=None, roi_label=None, outside_tissue_id=0)


def segment(
    slide: Slide, model: Path, cores: int = 1, extent: Extent = EVERYWHERE, batch: int = 1, side: int = 192
) -> np.ndarray:
    frames = slide.frames(2.0)
    width, height = frames.label_size
    segmenter = Segmenter(load_bundle(model), torch.device("cpu"))
    run = RegionSegmenter(slide, frames, extent, segmenter, batch, confidence=False)
    labels = np.full((height, width), 99, dtype=np.uint8)
    for region in Lattice(width, height, side, 32, cores).regions():
        labels[region.label_rect.slices] = run(region).labels
    return labels


def test_labels_do_not_depend_on_regions_or_batches(slide_path: Path, model_path: Path) -> None:
    with Slide(slide_path) as slide:
        expected = segment(slide, model_path)
        assert len(np.unique(expected)) > 1
        np.testing.assert_array_equal(segment(slide, model_path, cores=3), expected)
        np.testing.assert_array_equal(segment(slide, model_path, cores=2, batch=3), expected)


def test_each_core_is_its_patch_s_and_the_edge_is_mirrored(slide_path: Path, model_path: Path) -> None:
    """The same by the shortest way: numpy's own mirroring, one patch at a time."""
    segmenter = Segmenter(load_bundle(model_path), torch.device("cpu"))
    padded = np.pad(tissue_rgb(500, 700), ((32, 300), (32, 300), (0, 0)), mode="reflect")
    expected = np.zeros((500, 700), dtype=np.uint8)
    for y in range(0, 500, 128):
        for x in range(0, 700, 128):
            core = segmenter(padded[None, y : y + 192, x : x + 192], margin=32).labels[0]
            expected[y : y + 128, x : x + 128] = core[: 500 - y, : 700 - x]
    with Slide(slide_path) as slide:
        np.testing.assert_array_equal(segment(slide, model_path), expected)


def test_a_constant_model_gives_a_constant_map(slide_path: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "constant.safetensors", constant=2)
    with Slide(slide_path) as slide:
        assert (segment(slide, model) == SCHEMA.ids[2]).all()


def test_what_is_not_analysed_has_its_own_value(slide_path: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "constant.safetensors", constant=2)
    mask = np.zeros((8, 11), dtype=bool)
    mask[:, :6] = True
    extent = Extent(TissueMask(mask, 64), shapely.MultiPolygon([shapely.box(0, 0, 700, 200)]), 0)
    with Slide(slide_path) as slide:
        labels = segment(slide, model, extent=extent)
    assert (labels[200:] == OUTSIDE_ID).all()
    assert (labels[:200, 384:] == 0).all()
    assert (labels[:200, :384] == 2).all()


def near_tissue(
    slide: Slide, model: Path, roi: shapely.MultiPolygon | None, around: int | None
) -> np.ndarray:
    """The labels of a slide whose tissue is a part of it; what is not asked for is 0."""
    mask = np.zeros((32, 44), dtype=bool)
    mask[3:9, 4:30] = mask[20:, 38:] = True
    frames = slide.frames(2.0)
    width, height = frames.label_size
    run = RegionSegmenter(
        slide,
        frames,
        Extent(TissueMask(mask, 16), roi, 0),
        Segmenter(load_bundle(model), torch.device("cpu")),
        batch_size=3,
        confidence=False,
    )
    labels = np.full((height, width), 99, dtype=np.uint8)
    for region in Lattice(width, height, 320, 32, 1, around).regions():
        labels[region.label_rect.slices] = run(region).labels
    return labels


@pytest.mark.usefixtures("kernels")
def test_labels_near_tissue_are_those_of_whole_patches_if_the_network_looks_far_enough(
    slide_path: Path, model_path: Path
) -> None:
    with Slide(slide_path) as slide:
        everything = near_tissue(slide, model_path, None, None)
        expected = segment(slide, model_path, side=320)
        inside = everything != 0
        assert inside.any()
        np.testing.assert_array_equal(everything[inside], expected[inside])
        np.testing.assert_array_equal(near_tissue(slide, model_path, None, 320), everything)
        assert (near_tissue(slide, model_path, None, 0) != everything).any()


@pytest.mark.usefixtures("kernels")
def test_a_region_of_interest_has_the_labels_of_the_whole_slide(slide_path: Path, model_path: Path) -> None:
    roi = shapely.MultiPolygon([shapely.box(90, 60, 260, 130), shapely.box(650, 400, 690, 440)])
    with Slide(slide_path) as slide:
        expected = near_tissue(slide, model_path, None, 32)
        found = near_tissue(slide, model_path, roi, 32)
    inside = found != OUTSIDE_ID
    assert 0 < inside.sum() < inside.size
    np.testing.assert_array_equal(found[inside], expected[inside])


def test_what_cannot_be_decoded_is_left_unprocessed(tmp_path: Path) -> None:
    path = damage_tile(write_tiff(tmp_path / "damaged.tiff", tissue_rgb(500, 700)), 1 * 6 + 2)
    model = write_model(tmp_path / "constant.safetensors", constant=1)
    expected = np.full((500, 700), 1)
    expected[128:256, 256:384] = UNPROCESSED_ID
    with Slide(path) as slide:
        for cores in (1, 2):
            np.testing.assert_array_equal(segment(slide, model, cores=cores), expected)


@given(st.integers(1, 40), st.integers(-100, 100), st.integers(0, 60))
def test_mirroring_is_numpy_s_reflection(size: int, start: int, length: int) -> None:
    padded = np.pad(np.arange(size), 200, mode="reflect") if size > 1 else np.zeros(401, dtype=int)
    expected = padded[200 + start : 200 + start + length]
    np.testing.assert_array_equal(mirrored(start, start + length, size), expected)


@pytest.mark.parametrize("rect", [Rect(0, 0, 50, 70), Rect(10, 20, 11, 21)])
def test_an_extent_without_limits_is_everything(rect: Rect) -> None:
    labels, analysed = EVERYWHERE.at(rect)
    assert analysed.all()
    assert labels.shape == (rect.height, rect.width)
