from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import tissue_rgb
from helpers.pictures import flip_bit
from hypothesis import given
from hypothesis import strategies as st

from wsi_seg.errors import OutputError
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.slide import Slide, SlidePixels
from wsi_seg.slides.tissue import TissueMask, find_tissue

MPP = (16.0, 16.0)


def glass(height: int = 200, width: int = 300) -> np.ndarray:
    noise = np.random.default_rng(0).integers(-3, 4, (height, width, 3))
    return np.clip(243 + noise, 0, 255).astype(np.uint8)


def found(rgb: np.ndarray) -> np.ndarray:
    return find_tissue(rgb, np.ones(rgb.shape[:2], dtype=bool), MPP)


def test_tissue_is_found_and_glass_is_not() -> None:
    rgb = glass()
    rgb[60:120, 80:200] = tissue_rgb(60, 120)
    mask = found(rgb)
    assert mask[60:120, 80:200].all()
    assert not mask[:50].any()
    assert not mask[:, 220:].any()


def test_pale_tissue_is_kept() -> None:
    rgb = glass()
    rgb[60:120, 80:200] = rgb[60:120, 80:200] - np.array([4, 22, 10], dtype=np.uint8)
    assert found(rgb)[62:118, 82:198].all()


def test_glass_alone_is_empty() -> None:
    assert not found(glass()).any()


@pytest.mark.parametrize("ink", [(30, 60, 200), (20, 150, 60), (25, 25, 28)])
def test_pen_marks_and_dust_are_left_out(ink: tuple[int, int, int]) -> None:
    rgb = glass()
    rgb[60:120, 80:200] = tissue_rgb(60, 120)
    rgb[150:190, 20:280] = ink
    rgb[10:12, 10:12] = (120, 120, 120)
    mask = found(rgb)
    assert mask[60:120, 80:200].all()
    assert mask[155:185, 30:270].mean() < 0.05
    assert not mask[:20, :20].any()


def test_the_white_inside_of_tissue_is_tissue() -> None:
    rgb = glass()
    rgb[60:120, 80:200] = tissue_rgb(60, 120)
    rgb[80:95, 120:140] = 243
    assert found(rgb)[60:120, 80:200].all()


def test_glass_that_the_slide_s_edge_cuts_off_is_glass() -> None:
    rgb = glass()
    rgb[12:188] = tissue_rgb(176, 300)  # leaves two strips of 0.9 mm2
    mask = found(rgb)
    assert mask[12:188].all()
    assert not mask[:6].any()
    assert not mask[194:].any()


def test_pixels_that_were_never_recorded_are_not_tissue() -> None:
    rgb = tissue_rgb(200, 300)
    present = np.zeros((200, 300), dtype=bool)
    assert not find_tissue(rgb, present, MPP).any()
    present[:, :150] = True
    mask = find_tissue(rgb, present, MPP)
    assert mask[:, :150].all()
    assert not mask[:, 150:].any()


def test_a_fine_overview_is_looked_at_coarsely() -> None:
    rgb = np.kron(glass(), np.ones((8, 8, 1), dtype=np.uint8))
    rgb[480:960, 640:1600] = tissue_rgb(480, 960)
    present = np.ones(rgb.shape[:2], dtype=bool)
    present[:, 1303:] = False
    rgb[:, 1303:] = 0
    mask = TissueMask.of(SlidePixels(rgb, present, (Rect(1500, 30, 1530, 70),)), (2.0, 2.0), factor=4)
    assert mask.factor == 32
    assert mask.mask.shape == (200, 300)
    assert mask.mask[60:120, 80:163].all()
    assert not mask.mask[:, 164:].any()
    assert mask.mask[187:192, 3:9].all()
    assert mask.mask[150:].sum() == 5 * 6


def test_what_a_file_fills_in_around_tissue_is_none() -> None:
    rgb = np.full((400, 600, 3), 240, dtype=np.uint8)
    rgb[150:250, 200:400] = tissue_rgb(100, 200)
    present = np.ones(rgb.shape[:2], dtype=bool)
    mask = TissueMask.of(SlidePixels(rgb, present, ()), (8.0, 8.0), factor=4).mask
    assert mask.shape == (200, 300)
    assert mask[75:125, 100:200].all()
    assert mask.sum() == 50 * 100


def test_most_of_a_real_slide_s_annotated_lesions_are_tissue(shared_data: Path) -> None:
    with Slide(shared_data / "slides" / "breast_A03.tiff") as slide:
        frames = slide.frames(16.0)
        pixels = slide.read(Rect(0, 0, frames.label_size[1], frames.label_size[0]), frames)
        mask = find_tissue(pixels.rgb, pixels.present, frames.label_mpp)
    never_scanned = (pixels.rgb == 240).all(axis=2)
    assert mask[never_scanned].mean() < 0.03
    dark = pixels.rgb[..., 1] < 150
    assert mask[dark].mean() > 0.99


@given(st.data())
def test_a_pixel_of_the_mask_does_not_depend_on_the_rectangle(data: st.DataObject) -> None:
    mask = TissueMask(np.random.default_rng(0).random((20, 30)) > 0.5, factor=4)
    whole = mask.at(Rect(0, 0, 80, 120))
    y0, x0 = data.draw(st.integers(0, 79)), data.draw(st.integers(0, 119))
    rect = Rect(y0, x0, data.draw(st.integers(y0 + 1, 80)), data.draw(st.integers(x0 + 1, 120)))
    np.testing.assert_array_equal(mask.at(rect), whole[rect.slices])


def test_a_mask_comes_back_from_its_file(tmp_path: Path) -> None:
    mask = TissueMask(np.random.default_rng(0).random((20, 30)) > 0.5, factor=8)
    mask.save(tmp_path / "mask.png")
    for seal in (mask.seal, None):
        back = TissueMask.load(tmp_path / "mask.png", seal)
        assert back.factor == 8
        np.testing.assert_array_equal(back.mask, mask.mask)
    (tmp_path / "mask.png").write_bytes(b"")
    with pytest.raises(OutputError, match="damaged: restore it, or make the result again with"):
        TissueMask.load(tmp_path / "mask.png", None)
    with pytest.raises(OutputError, match="the tissue mask is missing: restore it, or make"):
        TissueMask.load(tmp_path / "gone.png", mask.seal)


def test_a_flipped_bit_in_a_mask_is_found(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    mask = TissueMask(np.kron(np.eye(6), np.ones((9, 9))) > 0, factor=8)
    for at in range(2, 60):
        mask.save(path)
        flip_bit(path, at)
        with pytest.raises(OutputError, match="mask is damaged"):
            TissueMask.load(path, None)


def test_another_mask_is_refused_by_what_differs(tmp_path: Path) -> None:
    path, pixels = tmp_path / "mask.png", np.eye(20, 30) > 0
    seal = TissueMask(pixels, 8).seal
    for other, differs in (
        (TissueMask(~pixels, 8), "its pixels differ"),
        (TissueMask(pixels, 4), "4 label pixels per mask pixel, not 8"),
        (TissueMask(pixels.T, 8), "20 x 30 pixels, not 30 x 20"),
    ):
        other.save(path)
        with pytest.raises(
            OutputError, match=rf"mask\.png: not the tissue mask .* \(.*{differs}\): restore it"
        ):
            TissueMask.load(path, seal)
