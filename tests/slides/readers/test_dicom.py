"""What DICOM files say they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.dicoms import ANNOTATIONS, REPORT, SEGMENTATION, WHOLE_SLIDE, write_dicom

from wsi_seg.slides.readers.dicom import read_dicom_header


@pytest.mark.parametrize(
    ("sop_class", "what"),
    [
        (WHOLE_SLIDE, None),
        (SEGMENTATION, "a segmentation (SEG)"),
        (ANNOTATIONS, "annotations (ANN)"),
        (REPORT, "a structured report (SR)"),
        ("1.2.840.10008.5.1.4.1.1.2", "not a whole slide image"),
    ],
)
def test_a_dicom_file_says_what_it_is(tmp_path: Path, sop_class: str, what: str | None) -> None:
    head = read_dicom_header(write_dicom(tmp_path / "x.dcm", sop_class, r"DERIVED\PRIMARY\VOLUME\NONE"))
    assert head is not None
    assert (head.sop_class, head.no_slide, head.flavour) == (sop_class, what, "VOLUME")
    assert head.transfer_syntax == "1.2.840.10008.1.2.1"


def test_a_data_set_that_is_written_otherwise_is_left_alone(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "x.dcm", SEGMENTATION, r"DERIVED\PRIMARY\VOLUME", "1.2.840.10008.1.2")
    head = read_dicom_header(path)
    assert head is not None
    assert (head.no_slide, head.flavour) == ("a segmentation (SEG)", "")


def test_what_is_cut_short_or_no_dicom_says_nothing(tmp_path: Path) -> None:
    whole = write_dicom(tmp_path / "x.dcm", SEGMENTATION).read_bytes()
    for length in range(len(whole)):
        (tmp_path / "cut.dcm").write_bytes(whole[:length])
        head = read_dicom_header(tmp_path / "cut.dcm")
        assert (head is None) == (length < 132)
        assert head is None or head.sop_class in ("", SEGMENTATION)
    assert read_dicom_header(tmp_path / "absent.dcm") is None


def test_damaged_statements_are_none(tmp_path: Path) -> None:
    for syntax in ("1.2.840.1\n0008", "1" * 65, "1.2.3\x1b[2J"):
        head = read_dicom_header(write_dicom(tmp_path / "x.dcm", WHOLE_SLIDE, "A" * 2000, syntax))
        assert head is not None
        assert (head.sop_class, head.transfer_syntax, head.flavour) == (WHOLE_SLIDE, "", "")


def test_a_real_slide_is_one(shared_data: Path) -> None:
    files = (shared_data / "slides" / "CMU-1-Small-Region_dicom").glob("*.dcm")
    heads = [head for head in map(read_dicom_header, files) if head is not None]
    assert sorted(head.flavour for head in heads) == ["LABEL", "OVERVIEW", "THUMBNAIL", "VOLUME"]
    assert {head.no_slide for head in heads} == {None}
    assert {head.transfer_syntax for head in heads} == {"1.2.840.10008.1.2.4.50"}
