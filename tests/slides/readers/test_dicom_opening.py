"""DICOM slides that OpenSlide opens, but whose levels of rounded sides it would shift."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import tissue_rgb
from helpers.dicom_slides import J2K, JPEG, NATIVE, Written, write_level, write_parts
from helpers.packages import broken_package
from helpers.pyramids import mean

from wsi_seg.errors import SlideError
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.levels import remarks_on_levels
from wsi_seg.slides.readers.decode import LevelReader
from wsi_seg.slides.readers.dicom_reader import DicomReader
from wsi_seg.slides.slide import Slide

HEIGHT, WIDTH = 301, 421
RGB = tissue_rgb(HEIGHT, WIDTH)
EVEN = RGB[:300, :420]


def write(folder: Path, rgb: np.ndarray, syntax: str = NATIVE, **facts: int) -> Path:
    """Write two levels, the coarser one by the mean of four pixels."""
    declared = "YBR_FULL_422" if syntax == JPEG else "RGB"
    for number, pixels in enumerate([rgb, mean(rgb, 2)], 1):
        how = Written(syntax, photometric=declared, number=number, facts=tuple(facts.items()))
        write_level(folder / f"{number}.dcm", pixels, float(number), how)
    return folder / "1.dcm"


@pytest.mark.parametrize("syntax", [NATIVE, J2K, JPEG])
def test_rounded_levels_are_read_as_they_are_stored(tmp_path: Path, syntax: str) -> None:
    path = write(tmp_path, RGB, syntax)
    (tmp_path / "even").mkdir()
    even = write(tmp_path / "even", EVEN, syntax)
    by_openslide = LevelReader(path)
    with Slide(path) as slide, Slide(even) as other:
        assert (type(slide._reader), type(other._reader)) == (DicomReader, LevelReader)
        assert "OpenSlide would shift its levels by part of a pixel" in slide.read_with
        assert slide.properties == by_openslide.properties
        assert (slide.shifts, other.shifts, by_openslide.shifts) == (False, False, True)
        assert remarks_on_levels(slide) == ()
        part = Rect(0, 0, 128, 128)  # a tile that both hold, as JPEG is coded tile by tile
        for index in (0, 1):
            ours, theirs = slide._reader.read(index, part)[0], other._reader.read(index, part)[0]
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(
            slide._reader.read(0, Rect(0, 0, HEIGHT, WIDTH))[0],
            by_openslide.read(0, Rect(0, 0, HEIGHT, WIDTH))[0],
        )
        if syntax != JPEG:
            np.testing.assert_array_equal(
                slide._reader.read(1, Rect(0, 0, HEIGHT // 2, WIDTH // 2))[0][..., :3], mean(RGB, 2)
            )
    by_openslide.close()


def test_a_slide_in_parts_is_read_as_it_is_stored(tmp_path: Path) -> None:
    write_parts(tmp_path, RGB, 3, Written(NATIVE))
    path = write_level(tmp_path / "2.dcm", mean(RGB, 2), 4.0, Written(NATIVE, number=2))
    with Slide(path) as slide:
        pixels = slide._reader.read(1, Rect(0, 0, HEIGHT // 2, WIDTH // 2))[0]
    np.testing.assert_array_equal(pixels[..., :3], mean(RGB, 2))


def test_what_wsidicom_does_not_read_stays_with_openslide_and_a_remark_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise SlideError("a layout that is not read")

    monkeypatch.setattr("wsi_seg.slides.readers.dicom_reader.find_levels", refuse)
    path = write(tmp_path, RGB)
    with Slide(path) as slide:
        assert type(slide._reader) is LevelReader
        assert slide.shifts
        (line,) = remarks_on_levels(slide)
        assert line.startswith(f"{path}: ")
        assert "OpenSlide, which alone reads them, shifts them" in line
    with Slide(path, levels_read=(0,)) as slide:
        assert remarks_on_levels(slide) == ()


def test_a_broken_wsidicom_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("dicom_reader", "dicom_frames", "dicom_decode"):
        monkeypatch.delitem(sys.modules, f"wsi_seg.slides.readers.{name}", raising=False)
    broken_package("wsidicom", "raise OSError('no such library')", tmp_path, monkeypatch)
    path = write(tmp_path, RGB)
    with pytest.raises(SlideError) as caught:
        Slide(path)
    assert str(caught.value) == (
        f"{path}: a DICOM slide whose levels OpenSlide would shift by part of a pixel; wsidicom, which reads "
        "it, cannot be imported (OSError: no such library): pip install --force-reinstall wsidicom"
    )
