from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from conftest import damage_tile, tissue_rgb, write_tiff

from wsi_seg.errors import MppError, SlideError, UsageError
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.readers.decode import LevelReader
from wsi_seg.slides.slide import Slide

SLIDES = ["breast_A03.tiff", "CMU-1-Small-Region.svs", "Mirax2-Fluorescence-2.mrxs", "test3-DAPI.ndpi"]


def whole(slide: Slide, mpp: float) -> tuple[np.ndarray, Rect]:
    frames = slide.frames(mpp)
    rect = Rect(0, 0, frames.label_size[1], frames.label_size[0])
    return slide.read(rect, frames).rgb, rect


def test_at_its_own_resolution_a_slide_is_its_pixels(slide_path: Path) -> None:
    with Slide(slide_path) as slide:
        assert slide.size == (700, 500)
        assert slide.mpp == pytest.approx((2.0, 2.0))
        np.testing.assert_array_equal(whole(slide, 2.0)[0], tissue_rgb(500, 700))


def test_half_the_resolution_is_the_mean_of_four(slide_path: Path) -> None:
    with Slide(slide_path) as slide:
        mean = tissue_rgb(500, 700).reshape(250, 2, 350, 2, 3).mean((1, 3))
        assert np.abs(whole(slide, 4.0)[0] - mean).max() <= 0.5


@pytest.mark.parametrize("name", SLIDES)
@pytest.mark.parametrize("mpp", [2.0, 3.7])
def test_overlapping_readings_agree_to_the_byte(shared_data: Path, name: str, mpp: float) -> None:
    with Slide(shared_data / "slides" / name) as slide:
        frames = slide.frames(mpp)
        width, height = frames.label_size
        rng = np.random.default_rng(0)
        for _ in range(3):
            y, x = int(rng.integers(0, height - 200)), int(rng.integers(0, width - 200))
            a = slide.read(Rect(y, x, y + 150, x + 170), frames)
            b = slide.read(Rect(y + 33, x + 41, y + 200, x + 200), frames)
            np.testing.assert_array_equal(a.rgb[33:, 41:], b.rgb[:117, :129])
            np.testing.assert_array_equal(a.present[33:, 41:], b.present[:117, :129])


def test_two_containers_of_one_scan_read_alike(shared_data: Path) -> None:
    dicom = next((shared_data / "slides" / "CMU-1-Small-Region_dicom").glob("*.dcm"))
    with Slide(shared_data / "slides" / "CMU-1-Small-Region.svs") as a, Slide(dicom) as b:
        difference = np.abs(whole(a, 2.0)[0].astype(int) - whole(b, 2.0)[0])
        assert difference.mean() < 1.5
        assert a.mpp == pytest.approx(b.mpp, rel=1e-3)


def test_bounds_are_honoured(shared_data: Path) -> None:
    with Slide(shared_data / "slides" / "Mirax2-Fluorescence-2.mrxs") as slide:
        assert (slide.bounds.x, slide.bounds.y) == (9153, 102_664)
        frames = slide.frames(4 * 0.3225)
        assert frames.label_size == (2610, 1910)
        assert isinstance(slide._reader, LevelReader)
        direct = slide._reader.handle.read_region((9153 + 4 * 512, 102_664 + 4 * 256), 2, (64, 64))
        ours = slide.read(Rect(256, 512, 320, 576), frames).rgb
        assert np.abs(ours.astype(int) - np.asarray(direct)[..., :3]).mean() < 2


def test_a_missing_mpp_is_never_guessed(shared_data: Path, tmp_path: Path) -> None:
    with Slide(shared_data / "slides" / "no_mpp.svs") as slide, pytest.raises(MppError, match="--mpp"):
        slide.frames(2.0)
    with Slide(shared_data / "slides" / "no_mpp.svs", mpp=0.5) as slide:
        assert slide.frames(2.0).downsample == (4.0, 4.0)


@pytest.mark.parametrize("mpp", [0.0, -1.0, 1e6, float("nan")])
def test_an_absurd_mpp_is_refused(slide_path: Path, mpp: float) -> None:
    with pytest.raises(UsageError, match="--mpp"):
        Slide(slide_path, mpp=mpp)


def test_a_slide_too_coarse_for_the_model_is_refused_unless_asked_for(slide_path: Path) -> None:
    with Slide(slide_path) as slide:
        with pytest.raises(MppError, match="--allow-coarser"):
            slide.frames(0.5)
        assert slide.frames(0.5, allow_coarser=True).label_size == (2800, 2000)


def test_missing_parts_of_a_slide_are_named_not_filled_in(shared_data: Path) -> None:
    """The finest level of this copy lacks some of its data files."""
    with Slide(shared_data / "slides" / "Mirax2-Fluorescence-2.mrxs") as slide:
        pixels = slide.read(Rect(1024, 2048, 1088, 2112), slide.frames(0.3225))
    assert pixels.unreadable


def test_what_is_no_slide_is_refused_by_name(shared_data: Path, tmp_path: Path) -> None:
    missing, text = tmp_path / "missing.svs", tmp_path / "text.svs"
    text.write_text("not a slide")
    for path in (missing, text, tmp_path, shared_data / "slides" / "broken.svs"):
        with pytest.raises(SlideError, match=path.name):
            Slide(path)


def write_uncompressed(path: Path, rgb: np.ndarray) -> Path:
    tifffile.imwrite(path, rgb, tile=(256, 256), photometric="rgb", resolution=(5000, 5000), metadata=None)
    return path


def test_a_slide_is_known_by_its_content_wherever_it_lies(slide_path: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(slide_path, tmp_path / "copy.tiff"))
    other = write_tiff(tmp_path / "other.tiff", tissue_rgb(500, 700, seed=1))
    assert Slide(copy).fingerprint == Slide(slide_path).fingerprint != Slide(other).fingerprint


def test_slides_of_one_size_with_white_edges_are_not_one_slide(tmp_path: Path) -> None:
    """OpenSlide has no hash of levels of more than 5 MB, and without compression files are of one size."""
    rgb = np.full((2048, 2048, 3), 255, np.uint8)
    slides = []
    for seed in range(2):
        rgb[900:1100, 900:1100] = tissue_rgb(200, 200, seed=seed)
        slides.append(Slide(write_uncompressed(tmp_path / f"{seed}.tiff", rgb)))
    assert all("openslide.quickhash-1" not in slide.properties for slide in slides)
    assert slides[0].path.stat().st_size == slides[1].path.stat().st_size
    assert slides[0].fingerprint != slides[1].fingerprint


def test_a_dicom_slide_is_one_by_whichever_of_its_files(shared_data: Path) -> None:
    files = sorted((shared_data / "slides" / "CMU-1-Small-Region_dicom").glob("*.dcm"))
    assert len(files) == 4
    assert len({Slide(file).fingerprint for file in files}) == 1


def test_a_slide_travels_to_another_process(slide_path: Path) -> None:
    with Slide(slide_path) as slide, pickle.loads(pickle.dumps(slide)) as copy:
        np.testing.assert_array_equal(whole(copy, 2.0)[0], whole(slide, 2.0)[0])


def test_damage_costs_the_tile_it_is_in(tmp_path: Path) -> None:
    path = damage_tile(write_tiff(tmp_path / "damaged.tiff", tissue_rgb(512, 768)), 1 * 6 + 2)
    with Slide(path) as slide:
        frames = slide.frames(2.0)
        pixels = slide.read(Rect(0, 0, 512, 768), frames)
        bad = Rect(128, 256, 256, 384)
        assert pixels.unreadable == (bad,)
        good = np.ones((512, 768), dtype=bool)
        good[bad.slices] = False
        np.testing.assert_array_equal(pixels.rgb[good], tissue_rgb(512, 768)[good])
        assert slide.read(Rect(140, 260, 150, 270), frames).unreadable == (bad,)
        assert slide.read(Rect(0, 0, 100, 100), frames).unreadable == ()
