"""What cannot be written as DICOM is refused in one line, before anything is written."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_tiff
from helpers.dicom_results import OnSlide, facts, patches, write_result, write_slide
from helpers.program import Program
from pydicom import dcmread

import wsi_seg as ws
from wsi_seg.errors import SlideError, UsageError
from wsi_seg.exports.dicom.prepare import prepare_ann, prepare_seg
from wsi_seg.exports.options import Options
from wsi_seg.exports.source import Source
from wsi_seg.exports.written_files import Written

Prepare = Callable[[Source, Path, Options], Callable[[], Written]]

BOTH = pytest.mark.parametrize("prepare", [prepare_seg, prepare_ann])


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> OnSlide:
    return write_result(tmp_path_factory.mktemp("bad"), patches(200, 300))


@BOTH
def test_a_slide_that_is_not_named_and_not_there_is_asked_for(
    prepare: Prepare, result: OnSlide, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"name it with --slide$"):
        prepare(result.source, tmp_path / "new.dcm", Options())


@BOTH
def test_a_slide_that_is_no_dicom_is_named_with_the_remedy(
    prepare: Prepare, result: OnSlide, tmp_path: Path
) -> None:
    shutil.copytree(result.folder, tmp_path / "alone")
    shutil.rmtree(tmp_path / "alone" / ".wsi-seg")  # an OME-Zarr alone knows its slide by its size
    other = OnSlide(result.slide, tmp_path / "alone", result.labels)
    tiff = write_tiff(tmp_path / "slide.tiff", np.full((800, 1200, 3), 200, np.uint8), mpp=0.5)
    with pytest.raises(SlideError, match=r"slide\.tiff: is no DICOM slide.*wsidicomizer"):
        prepare(other.source, tmp_path / "new.dcm", Options(slide=tiff))


@BOTH
def test_another_slide_is_refused(prepare: Prepare, result: OnSlide, tmp_path: Path) -> None:
    other = write_slide(tmp_path / "other", patches(220, 300), facts())
    with pytest.raises(SlideError, match="is not the slide that"):
        prepare(result.source, tmp_path / "new.dcm", Options(slide=other))


@BOTH
@pytest.mark.parametrize(
    "named", ["ImageOrientationSlide", "TotalPixelMatrixOriginSequence", "FrameOfReferenceUID"]
)
def test_a_slide_that_does_not_state_how_it_lies_is_refused(
    prepare: Prepare, tmp_path: Path, named: str
) -> None:
    lacking: dict[str, Any] = {named: None}
    stated = tuple((dict(facts()) | lacking).items())
    result = write_result(tmp_path, patches(200, 300), stated=stated)
    with pytest.raises(SlideError, match=rf"does not state how the slide lies \({named}\): convert"):
        prepare(result.source, tmp_path / "new.dcm", Options(slide=result.slide))


def test_statements_that_dicom_does_not_allow_are_refused(tmp_path: Path) -> None:
    result = write_result(tmp_path, patches(200, 300), stated=facts(PatientSex="W"))
    for prepare, name in ((prepare_seg, "seg"), (prepare_ann, "ann.dcm")):
        with pytest.raises(SlideError, match="states what DICOM does not allow"):
            prepare(result.source, tmp_path / name, Options(slide=result.slide))()
    assert not [path for path in tmp_path.iterdir() if path.name not in ("glass", "result")]


def test_what_is_there_already_is_kept(result: OnSlide, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is there already: remove it, or name another folder with -o"):
        prepare_seg(result.source, tmp_path, Options(slide=result.slide))
    with pytest.raises(UsageError, match=r"not a name for polygons in this format: it must end in \.dcm"):
        prepare_ann(result.source, tmp_path / "a.geojson", Options(slide=result.slide))


@BOTH
def test_a_missing_package_names_the_extra(
    prepare: Prepare, result: OnSlide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(UsageError, match=r"needs highdicom, which is not installed: .*wsi-seg\[dicom\]"):
        prepare(result.source, tmp_path / "new.dcm", Options(slide=result.slide))


def test_from_python(result: OnSlide, tmp_path: Path) -> None:
    opened = ws.open_result(result.folder)
    folder = opened.to_dicom_seg(tmp_path / "seg", slide=result.slide, include_background=True)
    assert len(dcmread(folder / "level-0.dcm").SegmentSequence) == 1 + 3
    file = opened.to_dicom_ann(tmp_path / "a.dcm", slide=result.slide, min_area_um2=100)
    assert [g.AnnotationGroupLabel for g in dcmread(file).AnnotationGroupSequence] == ["Stroma", "Tumour"]
    with pytest.raises(UsageError, match=r"^seg_type='map': use 'labelmap' or 'binary'$"):
        opened.to_dicom_seg(tmp_path / "other", seg_type="map")  # type: ignore[arg-type]


def test_on_the_command_line(
    result: OnSlide, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Program(capsys, monkeypatch)
    asked = ("export", result.folder, "--slide", result.slide, "--format")
    ended = run(*asked, "dicom-seg", "-o", tmp_path / "seg", "--seg-type", "binary")
    assert (ended.code, "2 segments" in ended.out, "binary, not compressed" in ended.out) == (0, True, True)
    assert "private codes for Stroma, Tumour: name a class schema" in ended.out
    ended = run(*asked, "dicom-ann", "-o", tmp_path / "a.dcm", "--seg-type", "binary")
    assert (ended.code, ended.line) == (
        2,
        "wsi-seg: --seg-type: has no effect on --format dicom-ann: leave it out",
    )
    ended = run(*asked, "dicom-seg", "-o", tmp_path / "other", "--seg-type", "map")
    assert (ended.code, ended.line) == (2, "wsi-seg: --seg-type map: use labelmap or binary")
