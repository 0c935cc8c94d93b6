"""The slides of a folder, and what only looks like one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers.dicoms import ANNOTATIONS, REPORT, SEGMENTATION, SERIES, copy_series, write_dicom
from helpers.zarrs import RGB, attributes, write_attributes, write_zarr

from wsi_seg.errors import SlideError
from wsi_seg.slides.in_folder import slides_in
from wsi_seg.slides.readers.dicom import read_dicom_header
from wsi_seg.slides.slide import Slide


def test_what_lies_beside_a_dicom_slide_is_passed_over_by_name(shared_data: Path, tmp_path: Path) -> None:
    files = copy_series(shared_data, tmp_path, "slide")
    write_dicom(tmp_path / "a-seg.dcm", SEGMENTATION)
    write_dicom(tmp_path / "b-ann.dcm", ANNOTATIONS)
    write_dicom(tmp_path / "zreport", REPORT)
    found = slides_in(tmp_path)
    assert found.slides == (min(files),)
    assert found.passed_over == (
        f"{tmp_path / 'a-seg.dcm'}: DICOM, but a segmentation (SEG): skipped",
        f"{tmp_path / 'b-ann.dcm'}: DICOM, but annotations (ANN): skipped",
        f"{tmp_path / 'zreport'}: DICOM, but a structured report (SR): skipped",
    )


def test_a_label_in_a_series_of_its_own_is_no_slide(shared_data: Path, tmp_path: Path) -> None:
    for file in copy_series(shared_data, tmp_path, "slide"):
        head = read_dicom_header(file)
        assert head is not None
        if head.flavour == "LABEL":
            file.write_bytes(file.read_bytes().replace(SERIES.encode(), SERIES[:-1].encode() + b"7"))
    found = slides_in(tmp_path)
    assert len(found.slides) == 1
    assert [line.partition(": ")[2] for line in found.passed_over] == [
        "DICOM, but only the label of a slide: skipped"
    ]


def test_dicom_files_need_no_suffix(shared_data: Path, tmp_path: Path) -> None:
    files = copy_series(shared_data, tmp_path, "", suffix="")
    (tmp_path / "README").write_text("not DICOM")
    assert slides_in(tmp_path).slides == (min(files),)


def test_a_folder_of_no_slides_says_what_it_holds(tmp_path: Path) -> None:
    write_dicom(tmp_path / "seg.dcm", SEGMENTATION)
    with pytest.raises(SlideError, match=r"no slide in this folder \(.*seg\.dcm: DICOM, but a segmentation"):
        slides_in(tmp_path)


def test_a_link_to_nowhere_is_a_slide_that_fails_by_name(slide_path: Path, tmp_path: Path) -> None:
    (tmp_path / "a.tiff").symlink_to(slide_path)
    for name in ("b.svs", "c.dcm", "notes.txt"):
        (tmp_path / name).symlink_to(tmp_path / "unmounted" / name)
    (tmp_path / "loop.ndpi").symlink_to(tmp_path / "loop.ndpi")
    found = slides_in(tmp_path)
    assert [path.name for path in found.slides] == ["a.tiff", "b.svs", "c.dcm", "loop.ndpi"]
    assert found.passed_over == ()
    for path in found.slides[1:]:
        with pytest.raises(SlideError, match=path.name):
            Slide(path)


def test_what_is_named_as_a_slide_and_is_no_file_is_passed_over_by_name(
    slide_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.tiff").symlink_to(slide_path)
    (tmp_path / "case 7").mkdir()
    (tmp_path / "x.svs").mkdir()
    (tmp_path / "y.dcm").symlink_to(tmp_path / "x.svs")
    os.mkfifo(tmp_path / "z.tif")
    found = slides_in(tmp_path)
    assert found.slides == (tmp_path / "a.tiff",)
    assert found.passed_over == (
        f"{tmp_path / 'x.svs'}: named like a slide, but a folder: skipped",
        f"{tmp_path / 'y.dcm'}: named like a slide, but a folder: skipped",
        f"{tmp_path / 'z.tif'}: named like a slide, but no file: skipped",
    )
    (tmp_path / "x.svs" / "inner.svs").mkdir()
    with pytest.raises(
        SlideError, match=r"no slide in this folder \(.*inner\.svs: named like a slide, but a"
    ):
        slides_in(tmp_path / "x.svs")


def test_zarrs_that_are_images_are_slides_and_others_are_passed_over_by_name(
    slide_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.tiff").symlink_to(slide_path)
    write_zarr(tmp_path / "b.ome.zarr", RGB[:20, :20])
    write_zarr(tmp_path / "plain name", RGB[:20, :20])
    label = write_zarr(tmp_path / "c.zarr", RGB[:20, :20])
    write_attributes(label, {**attributes(label), "image-label": {}})
    (tmp_path / "damaged.zarr").mkdir()
    (tmp_path / "packed.zarr.zip").touch()
    found = slides_in(tmp_path)
    named = ["a.tiff", "b.ome.zarr", "damaged.zarr", "packed.zarr.zip", "plain name"]
    assert [path.name for path in found.slides] == named
    assert found.passed_over == (f"{label}: is a label image, not a slide: skipped",)
    for path in found.slides[2:4]:
        with pytest.raises(SlideError, match=path.name):
            Slide(path)
