"""Which files make a DICOM slide, and what is said where nothing reads them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from helpers.dicoms import copy_series, element, write_dicom
from helpers.packages import broken_package

from wsi_seg.errors import SlideError
from wsi_seg.predict.jobs import collect_jobs
from wsi_seg.slides.in_folder import slides_in
from wsi_seg.slides.readers.dicom import WHOLE_SLIDE, read_dicom_header
from wsi_seg.slides.readers.dicom_series import find_beyond_openslide, find_series
from wsi_seg.slides.slide import Slide

RLE, TWELVE_BITS = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.51"
VOLUME, LABEL = r"ORIGINAL\PRIMARY\VOLUME\NONE", r"ORIGINAL\PRIMARY\LABEL\NONE"


def file(path: Path, syntax: str, image_type: str = VOLUME, series: bytes = b"1.2.3") -> Path:
    write_dicom(path, WHOLE_SLIDE, image_type, syntax)
    sequence = (
        b"\x08\0\x15\x11SQ\0\0\xff\xff\xff\xff"
        b"\xfe\xff\0\xe0\xff\xff\xff\xff" + element(0x20, 0xE, "UI", b"9.9.9") + b"\xfe\xff\x0d\xe0\0\0\0\0"
        b"\xfe\xff\xdd\xe0\0\0\0\0"
    )
    with path.open("ab") as content:
        content.write(sequence + element(0x20, 0xE, "UI", series) + element(0x40, 0x512, "LO", b"S-1"))
        content.write(b"\0" * 12)
    return path


def test_the_series_is_read_past_sequences(tmp_path: Path) -> None:
    head = read_dicom_header(file(tmp_path / "a.dcm", RLE))
    assert head is not None
    assert (head.series, head.container, head.flavour) == ("1.2.3", "S-1", "VOLUME")


def test_files_of_one_series_are_one_slide(tmp_path: Path) -> None:
    a, b = file(tmp_path / "a.dcm", RLE), file(tmp_path / "b.dcm", RLE, LABEL)
    file(tmp_path / "other.dcm", RLE, series=b"1.2.34")
    (tmp_path / "no.txt").write_text("no DICOM")
    series = find_beyond_openslide(b)
    assert series is not None
    assert (list(series.headers), series.volumes, series.container) == ([a, b], (a,), "S-1")
    assert find_series(tmp_path / "no.txt") is None
    assert [path.name for path in slides_in(tmp_path).slides] == ["a.dcm", "other.dcm"]


def test_results_are_named_as_of_other_dicom_slides(tmp_path: Path) -> None:
    folder = tmp_path / "case-7"
    folder.mkdir()
    file(folder / "a.dcm", RLE)
    file(folder / "b.dcm", RLE, LABEL)
    (job,) = collect_jobs([folder], tmp_path / "out", None).jobs
    assert (job.path.name, job.out.name) == ("a.dcm", "case-7")
    file(folder / "c.dcm", RLE, series=b"1.2.34")
    jobs = collect_jobs([folder], tmp_path / "out", None).jobs
    assert [job.path.name for job in jobs] == ["a.dcm", "c.dcm"]
    assert all(job.out.name.startswith("case-7__") for job in jobs)


def test_a_label_alone_is_no_slide(tmp_path: Path) -> None:
    label = file(tmp_path / "label.dcm", RLE, LABEL)
    assert find_beyond_openslide(label) is None
    with pytest.raises(
        SlideError, match=r"label\.dcm: is only the label of a slide: name a file of the slide"
    ):
        Slide(label)


def test_what_openslide_reads_is_left_to_it(shared_data: Path) -> None:
    for path in (shared_data / "slides" / "CMU-1-Small-Region_dicom").glob("*.dcm"):
        assert find_beyond_openslide(path) is None
        series = find_series(path)
        assert series is not None
        assert (len(series.headers), len(series.volumes), series.container) == (4, 1, "Unknown")


@pytest.fixture
def not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs wsidicom is imported anew."""
    for name in ("dicom_reader", "dicom_frames", "dicom_decode"):
        monkeypatch.delitem(sys.modules, f"wsi_seg.slides.readers.{name}", raising=False)


@pytest.mark.usefixtures("not_loaded")
def test_what_is_missing_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wsidicom", None)
    path = file(tmp_path / "a.dcm", RLE)
    with pytest.raises(SlideError) as caught:
        Slide(path)
    line = str(caught.value)
    assert line == (
        f"{path}: a DICOM slide compressed by RLE, which OpenSlide does not read; wsidicom, which reads it, "
        "is not installed: install wsi-seg again"
    )


@pytest.mark.usefixtures("not_loaded")
def test_what_is_broken_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_package("wsidicom", "raise OSError('libopenjp2.so.7: no such file')", tmp_path, monkeypatch)
    path = file(tmp_path / "a.dcm", RLE)
    with pytest.raises(SlideError) as caught:
        Slide(path)
    assert str(caught.value).endswith(
        "; wsidicom, which reads it, cannot be imported (OSError: libopenjp2.so.7: no such file): "
        "pip install --force-reinstall wsidicom"
    )


@pytest.mark.usefixtures("not_loaded")
def test_a_slide_refused_for_its_label_says_so(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSlide opens all of a series, its label too."""
    monkeypatch.setitem(sys.modules, "wsidicom", None)
    files = copy_series(shared_data, tmp_path, "")
    headers = {path: read_dicom_header(path) for path in files}
    (label,) = (path for path, header in headers.items() if header and header.flavour == "LABEL")
    content = label.read_bytes()
    label.write_bytes(content.replace(b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.4.80", 1))
    for path in files:
        other = "" if path == label else f" whose file {label.name} is"
        with pytest.raises(SlideError, match=f"a DICOM slide{other} compressed by JPEG-LS, which OpenSlide"):
            Slide(path)


def test_what_neither_reads_is_refused_by_name(tmp_path: Path) -> None:
    for syntax, name in ((TWELVE_BITS, "12-bit JPEG"), ("1.2.3.4", "transfer syntax 1.2.3.4")):
        path = file(tmp_path / "slide.dcm", syntax)
        with pytest.raises(
            SlideError, match=f"compressed by {name}, which OpenSlide does not read: decode its"
        ):
            Slide(path)
