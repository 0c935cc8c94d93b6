"""Generated tissue: blocks join exactly, every class is there, and the truth fits the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wsi_seg.demo import DEMO_SEED
from wsi_seg.demo.dye_colours import Stain, blur, blur_margin
from wsi_seg.demo.generated_tissue import Tissue
from wsi_seg.demo.tissue_layout import CLASS_OF_PART, Part
from wsi_seg.models.classes import load_schema
from wsi_seg.slides.lattice import Rect

BACKGROUND, BENIGN, MALIGNANT, NORMAL, DESMOPLASTIC, SECRETION, BLOOD, NECROSIS = range(8)

SLIDE = Tissue(seed=DEMO_SEED, width_um=4096, height_um=3072, pen=True)


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """A good part of the demo slide at 2 um per pixel."""
    return SLIDE.render(Rect(0, 300, 1000, 1400), 2.0)


@pytest.mark.parametrize("mpp", [0.5, 0.467, 1.0, 1.87, 2.0])
def test_any_block_equals_its_part_of_the_whole(mpp: float) -> None:
    whole = Rect(170, 640, 470, 960) if mpp < 1.5 else Rect(150, 90, 410, 370)
    rgb, labels = SLIDE.render(whole, mpp)
    rng = np.random.default_rng(0)
    for _ in range(3):
        y, x = rng.integers(0, 180, 2)
        h, w = rng.integers(1, 80, 2)
        part = Rect(whole.y0 + y, whole.x0 + x, whole.y0 + y + h, whole.x0 + x + w)
        part_rgb, part_labels = SLIDE.render(part, mpp)
        assert np.array_equal(rgb[y : y + h, x : x + w], part_rgb)
        assert np.array_equal(labels[y : y + h, x : x + w], part_labels)


def test_a_block_larger_than_the_drawing_block_joins_too() -> None:
    rgb, labels = SLIDE.render(Rect(600, 600, 640, 1300), 2.0)
    part_rgb, part_labels = SLIDE.render(Rect(600, 1100, 640, 1125), 2.0)
    assert np.array_equal(rgb[:, 500:525], part_rgb)
    assert np.array_equal(labels[:, 500:525], part_labels)


def test_the_same_seed_gives_the_same_slide_and_another_seed_another() -> None:
    rect = Rect(400, 400, 480, 480)
    rgb, labels = SLIDE.render(rect, 2.0)
    again_rgb, again_labels = Tissue(DEMO_SEED, 4096, 3072, pen=True).render(rect, 2.0)
    other_rgb, _ = replace(SLIDE, seed=8).render(rect, 2.0)
    assert np.array_equal(rgb, again_rgb)
    assert np.array_equal(labels, again_labels)
    assert (rgb != other_rgb).mean() > 0.3


def test_the_demo_slide_holds_every_class(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    _, labels = drawn
    counts = np.bincount(labels.ravel(), minlength=8)
    assert len(counts) == 8
    assert (counts > 1000).all(), counts
    schema = load_schema("breast-biopsy")
    assert set(CLASS_OF_PART.values()) <= set(schema.ids)
    assert CLASS_OF_PART[Part.GLASS] == schema.background_id


def test_the_truth_fits_the_picture(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    rgb, labels = drawn
    density = -np.log((rgb.astype(np.float64) + 1) / 256)
    mean = np.array([density[labels == c].mean(axis=0) for c in range(8)])
    red, green, _ = mean.T
    total = mean.sum(axis=1)
    assert total[BACKGROUND] < 0.5 * np.delete(total, BACKGROUND).min(), "glass and fat are the lightest"
    # Haematoxylin absorbs red, eosin hardly: the share of red tells nuclei from collagen.
    blueness = red / green
    for epithelium in (BENIGN, MALIGNANT):
        for other in (NORMAL, SECRETION, BLOOD):
            assert blueness[epithelium] > 1.3 * blueness[other]
    assert blueness[DESMOPLASTIC] > 1.3 * blueness[NORMAL], "reactive stroma is bluer"
    assert green[BLOOD] > 1.3 * green[NORMAL], "blood is the reddest"
    assert blueness[BLOOD] == blueness.min()
    assert total[NECROSIS] > 1.3 * total[SECRETION], "secretion is pale, necrosis dense"


def test_labels_follow_the_picture_to_the_pixel() -> None:
    """The border between glass and stained tissue lies where the truth says."""
    tissue = replace(SLIDE, stain=replace(Stain(), blur_um=0, noise=0), pen=False)
    rgb, labels = tissue.render(Rect(500, 180, 700, 340), 2.0)
    dark = rgb[..., 1] < 215
    tissue_here = labels != BACKGROUND
    shifts = [(dy, dx) for dy in range(-3, 4) for dx in range(-3, 4)]
    agreement = [(np.roll(dark, shift, (0, 1)) == tissue_here)[5:-5, 5:-5].mean() for shift in shifts]
    assert shifts[int(np.argmax(agreement))] == (0, 0)


def test_coarse_pixels_are_the_mean_of_fine_ones() -> None:
    """A model trained at one resolution must see the same when a finer slide is averaged."""
    tissue = Tissue(5, 3000, 3000, tissue_everywhere=True)
    fine, _ = tissue.render(Rect(2400, 2400, 3200, 3200), 0.5)
    coarse, _ = tissue.render(Rect(1200, 1200, 1600, 1600), 1.0)
    fine = fine.reshape(200, 4, 200, 4, 3).mean(axis=(1, 3))
    coarse = coarse.reshape(200, 2, 200, 2, 3).mean(axis=(1, 3))
    assert np.abs((fine - coarse).mean(axis=(0, 1))).max() < 1.5
    assert np.abs(fine - coarse).mean() < 3.5


def test_tissue_everywhere_has_no_glass_around_it() -> None:
    corner = Rect(0, 0, 100, 100)
    bare_rgb, bare = Tissue(3, 4000, 4000).render(corner, 2.0)
    _, covered = Tissue(3, 4000, 4000, tissue_everywhere=True).render(corner, 2.0)
    assert (bare == BACKGROUND).all()
    assert bare_rgb.mean() > 230
    assert (covered != BACKGROUND).mean() > 0.3


def test_the_pen_mark_is_background() -> None:
    rect = Rect(0, 0, 300, 300)
    without_rgb, without = replace(SLIDE, pen=False).render(rect, 2.0)
    rgb, labels = SLIDE.render(rect, 2.0)
    marked = (rgb.astype(int) - without_rgb).min(axis=2) < -60
    assert np.array_equal(labels, without)
    assert marked.mean() > 0.02
    assert (labels[marked] == BACKGROUND).mean() > 0.9


def test_stains_differ_and_are_repeatable() -> None:
    assert Stain.random(1) == Stain.random(1)
    assert Stain.random(1) != Stain.random(2)
    for seed in range(200):
        stain = Stain.random(seed, spread=1.2)
        assert stain.blur_um >= 0
        assert stain.noise >= 0
        assert all(0.8 < w <= 1 for w in stain.white)
        assert stain.hematoxylin[0] > stain.eosin[0], "haematoxylin is the bluer of the two"


@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.7, 1.4])
def test_blur_has_the_asked_for_width(sigma: float) -> None:
    margin = blur_margin(sigma)
    point = np.zeros((41 + 2 * margin, 41 + 2 * margin), np.float32)
    point[20 + margin, 20 + margin] = 1
    blurred = blur(point, sigma)
    assert blurred.shape == (41, 41)
    assert blurred.sum() == pytest.approx(1, abs=1e-5)
    variance = (blurred.sum(axis=0) * (np.arange(41) - 20) ** 2).sum()
    assert variance == pytest.approx(sigma**2 if margin else 0, abs=1e-4)
