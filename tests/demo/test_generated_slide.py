"""Generated slides on the disk: what OpenSlide makes of them, their truth, and how they are written."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from wsi_seg.demo.generated_slide import (
    SlideFormat,
    constant_block,
    tissue_block,
    truth_path,
    write_repeated_slide,
    write_slide,
)
from wsi_seg.demo.generated_tissue import Tissue
from wsi_seg.demo.score_labels import TruthImage
from wsi_seg.errors import OutputError, UsageError
from wsi_seg.slides.lattice import Rect

SIZE = (1300, 900)
TISSUE = Tissue(seed=7, width_um=1300, height_um=900, tissue_everywhere=True)


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slide") / "demo.tiff"
    write_slide(path, TISSUE, SIZE, 1.0, SlideFormat(quality=95))
    return path


def test_openslide_reads_size_levels_and_resolution(slide_path: Path) -> None:
    with openslide.OpenSlide(slide_path) as slide:
        assert slide.properties["openslide.vendor"] == "generic-tiff"
        assert slide.level_dimensions == ((1300, 900), (650, 450), (325, 225), (163, 113))
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(1.0, rel=1e-9)
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("mpp", [0.25, 0.467, 0.4991])
def test_any_resolution_is_kept(tmp_path: Path, mpp: float) -> None:
    path = tmp_path / "slide.tiff"
    write_repeated_slide(path, constant_block((200, 100, 150)), (700, 300), mpp)
    with openslide.OpenSlide(path) as slide:
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(mpp, rel=1e-6)


def test_levels_are_area_averages_of_what_was_drawn(slide_path: Path) -> None:
    rgb, _ = TISSUE.render(Rect(0, 0, 900, 1300), 1.0)
    with openslide.OpenSlide(slide_path) as slide:
        for level, factor in ((0, 1), (1, 2), (2, 4)):
            height, width = 900 // factor, 1300 // factor
            read = np.asarray(slide.read_region((0, 0), level, (width, height)).convert("RGB"), np.float64)
            means = rgb.reshape(height, factor, width, factor, 3).mean(axis=(1, 3))
            assert np.abs(read - means).mean() < 5
            assert np.abs((read - means).mean()) < 0.5


def test_the_truth_lies_pixel_for_pixel_on_level_0(slide_path: Path) -> None:
    _, labels = TISSUE.render(Rect(0, 0, 900, 1300), 1.0)
    path = truth_path(slide_path)
    assert path.name == "demo.truth.tiff"
    assert np.array_equal(tifffile.imread(path), labels)
    with TruthImage(path) as truth:
        assert truth.shape == (900, 1300)
        for rect in (Rect(0, 0, 900, 1300), Rect(250, 255, 260, 513), Rect(899, 1299, 900, 1300)):
            assert np.array_equal(truth.read(rect), labels[rect.slices])


def test_the_same_slide_gives_the_same_bytes(tmp_path: Path) -> None:
    tissue = Tissue(1, 600, 500)
    for name, workers in (("a", 1), ("b", 3)):
        (tmp_path / name).mkdir()
        write_slide(tmp_path / name / "s.tiff", tissue, (600, 500), 1.0, SlideFormat(step=4, workers=workers))
    for file in ("s.tiff", "s.truth.tiff"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_memory_is_bounded_by_the_width(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times as tall a slide needs no more memory."""

    def flat(self: Tissue, rect: Rect, mpp: float) -> tuple[np.ndarray, np.ndarray]:
        return np.full((rect.height, rect.width, 3), 200, np.uint8), np.zeros(
            (rect.height, rect.width), np.uint8
        )

    monkeypatch.setattr(Tissue, "render", flat)
    peaks = []
    for height in (2048, 8192):
        tracemalloc.start()
        write_slide(tmp_path / "slide.tiff", TISSUE, (2048, height), 1.0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
    assert peaks[1] < 8192 * 2048


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class StopError(Exception):
        pass

    def stop(self: Tissue, rect: Rect, mpp: float) -> tuple[np.ndarray, np.ndarray]:
        if rect.y0 > 0:
            raise StopError
        return np.full((rect.height, rect.width, 3), 200, np.uint8), np.zeros(
            (rect.height, rect.width), np.uint8
        )

    monkeypatch.setattr(Tissue, "render", stop)
    with pytest.raises(StopError):
        write_slide(tmp_path / "slide.tiff", TISSUE, (600, 1600), 1.0)
    assert list(tmp_path.iterdir()) == []


def test_an_impossible_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="cannot be written") as caught:
        write_repeated_slide(tmp_path / "file" / "s.tiff", constant_block((1, 2, 3)), (300, 300), 0.5)
    assert "\n" not in str(caught.value)


def test_a_repeated_slide_repeats_its_block_at_every_level(tmp_path: Path) -> None:
    block = tissue_block(seed=3, mpp=1.0, side=512)
    path = tmp_path / "large.tiff"
    write_repeated_slide(path, block, (5000, 3000), 0.5, SlideFormat(step=2, quality=95))
    with openslide.OpenSlide(path) as slide:
        assert slide.level_dimensions[0] == (5000, 3000)
        assert slide.level_count == 6
        for level in range(3):
            side = 512 >> level
            tiles = [
                np.asarray(slide.read_region((x, y), level, (side, side)).convert("RGB"), np.float64)
                for x, y in ((0, 0), (1024, 0), (3072, 2048))
            ]
            assert np.array_equal(tiles[0], tiles[1])
            assert np.array_equal(tiles[0], tiles[2])
            means = block.reshape(side, 512 // side, side, 512 // side, 3).mean(axis=(1, 3))
            assert np.abs(tiles[0] - means).mean() < 5


def test_a_constant_slide_is_constant(tmp_path: Path) -> None:
    path = tmp_path / "constant.tiff"
    write_repeated_slide(path, constant_block((120, 130, 140)), (3000, 2000), 0.5)
    with openslide.OpenSlide(path) as slide:
        for level in range(slide.level_count):
            width, height = slide.level_dimensions[level]
            region = np.asarray(slide.read_region((0, 0), level, (width, height)).convert("RGB"), int)
            assert np.abs(region - (120, 130, 140)).max() <= 2


def test_wrong_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 or 4"):
        SlideFormat(step=3)
    with pytest.raises(UsageError, match="multiples of 256"):
        write_repeated_slide(tmp_path / "s.tiff", np.zeros((100, 256, 3), np.uint8), (300, 300), 0.5)
