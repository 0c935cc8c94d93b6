"""What `dciodvfy` (Debian's dicom3tools) says of files on a real slide: nothing that is our fault."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path

import pytest
from helpers.dicom_results import OnSlide, patches
from helpers.written_results import write_labels
from pydicom import dcmread
from pydicom.uid import SegmentationStorage

from wsi_seg.exports.dicom.prepare import prepare_ann, prepare_seg
from wsi_seg.exports.options import Options
from wsi_seg.models.classes import UNPROCESSED_ID, load_schema
from wsi_seg.results.record import Key
from wsi_seg.slides.slide import Slide

REQUIRED = "Missing attribute for Type 1 Required - Module="
OLDER = {
    r"Information Object Not found",
    r"SegmentNumber not monotonically increasing from one by one .* with SegmentNumber of 0",
    r"SegmentNumber\S* - Value is zero",
    r"Unrecognized enumerated value = <LABELMAP>",
    REQUIRED + r"<(Plane(Position|Orientation|PositionSlide)|Segmentation)Macro>",
    REQUIRED + r"<MultiFrameFunctionalGroupsForSegmentation>",
}
"""Of a release of before label maps, and segmentations whose tiles need not state their places, came up."""

ABSENT = {r"CommonZCoordinateValue\S* - Only valid for AnnotationCoordinateType of 3D"}
"""Of an attribute that the file does not have."""


@pytest.fixture(scope="module")
def result(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> OnSlide:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is absent: apt-get install dicom3tools")
    path = next(
        path
        for path in sorted((shared_data / "slides" / "CMU-1-Small-Region_dicom").iterdir())
        if "VOLUME" in dcmread(path, stop_before_pixels=True).ImageType
    )
    with Slide(path) as slide:
        frames = slide.frames(2.0)
        made_from: Key = {"slide": slide.fingerprint}
    width, height = frames.label_size
    labels = patches(height, width)
    labels[labels == 2] = 6
    labels[:50, :50] = UNPROCESSED_ID
    folder = tmp_path_factory.mktemp("real") / "result"
    schema = load_schema("breast-biopsy")
    return OnSlide(path, write_labels(folder, labels, schema, frames, made_from), labels)


def errors(path: Path, known: Collection[str] = ()) -> set[str]:
    """The errors in a file that are not known to be the validator's own."""
    ended = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False)
    said = {line.removeprefix("Error - ") for line in ended.stderr.splitlines() if line.startswith("Error")}
    assert "Segmentation" in ended.stderr or "Annotations" in ended.stderr or said
    return {line for line in said if not any(re.search(pattern, line) for pattern in known)}


def test_a_segmentation_of_bits_has_no_errors(result: OnSlide, tmp_path: Path) -> None:
    prepare_seg(result.source, tmp_path / "out", Options(slide=result.slide, seg_type="binary"))()
    for path in (tmp_path / "out").iterdir():
        assert errors(path) == set()


def test_a_label_map_has_none_but_that_it_is_one(result: OnSlide, tmp_path: Path) -> None:
    prepare_seg(result.source, tmp_path / "out", Options(slide=result.slide))()
    for path in (tmp_path / "out").iterdir():
        assert errors(path, OLDER) == set()
        # The release of before has no such object: it checks all else if it is given out for one of bits.
        data = dcmread(path)
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = SegmentationStorage
        data.save_as(tmp_path / "as-bits.dcm")
        assert errors(tmp_path / "as-bits.dcm", OLDER) == set()


def test_annotations_have_none_but_of_what_is_not_in_them(result: OnSlide, tmp_path: Path) -> None:
    prepare_ann(result.source, tmp_path / "a.dcm", Options(slide=result.slide, min_area_um2=100))()
    assert errors(tmp_path / "a.dcm", ABSENT) == set()
    groups = dcmread(tmp_path / "a.dcm").AnnotationGroupSequence
    assert not any("CommonZCoordinateValue" in group for group in groups)
