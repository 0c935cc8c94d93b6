"""Segmentations: the same pixels at the same place, read back by highdicom, pydicom and wsidicom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from conftest import SCHEMA
from helpers.dicom_results import (
    FRAME_OF_REFERENCE,
    ORIENTATIONS,
    ORIGIN,
    SLIDE_MPP,
    STEP,
    OnSlide,
    facts,
    patches,
    write_result,
)
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.pixels import iter_pixels
from pydicom.uid import JPEGLSLossless, RLELossless, VLWholeSlideMicroscopyImageStorage
from wsidicom import WsiDicom

from wsi_seg.exports.dicom import encoding, seg, streamed
from wsi_seg.exports.dicom.prepare import prepare_seg
from wsi_seg.exports.options import Options
from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID, ClassSchema

Labels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> OnSlide:
    """A result on a slide that is turned."""
    folder = tmp_path_factory.mktemp("seg")
    return write_result(folder, patches(), stated=facts(ORIENTATIONS["turned by a quarter"]))


def export(result: OnSlide, out: Path, **options: object) -> Path:
    prepare_seg(result.source, out, Options(slide=result.slide, **options))()  # type: ignore[arg-type]
    return out


def by_pydicom(path: Path) -> Labels:
    """All of a label map, put together from its frames as TILED_FULL says."""
    data = dcmread(path)
    height, width = data.TotalPixelMatrixRows, data.TotalPixelMatrixColumns
    across = -(-width // data.Columns)
    whole = np.zeros((-(-height // data.Rows) * data.Rows, across * data.Columns), dtype=np.uint8)
    for number, frame in enumerate(iter_pixels(data)):
        y, x = number // across * data.Rows, number % across * data.Columns
        whole[y : y + data.Rows, x : x + data.Columns] = frame
    assert not whole[height:].any()
    assert not whole[:, width:].any()
    return whole[:height, :width]


def by_wsidicom(path: Path) -> Labels:
    """The same by wsidicom, which reads whole slide images alone: the file is given out for one."""
    data, optical = dcmread(path), Dataset()
    optical.OpticalPathIdentifier = "0"
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = VLWholeSlideMicroscopyImageStorage
    data.ImageType, data.Modality = ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED"], "SM"
    data.OpticalPathSequence = [optical]
    data.ImagedVolumeWidth = data.ImagedVolumeHeight = 1.0
    other = path.with_name(f"{path.stem}.slide")
    data.save_as(other)
    with WsiDicom.open([other]) as slide:
        size = slide.levels[0].size
        return np.asarray(slide.read_region((0, 0), 0, (size.width, size.height)))


def by_highdicom(path: Path) -> Labels:
    segmentation = hd.seg.segread(path)
    whole = segmentation.get_total_pixel_matrix(combine_segments=True)
    return np.asarray(whole, dtype=np.uint8)


READERS = {"highdicom": by_highdicom, "pydicom": by_pydicom, "wsidicom": by_wsidicom}


@pytest.mark.parametrize("reader", READERS)
def test_a_label_map_is_read_back_pixel_for_pixel(result: OnSlide, tmp_path: Path, reader: str) -> None:
    out = export(result, tmp_path / "out")
    pyramid = result.source.pyramid
    assert sorted(path.name for path in out.iterdir()) == [f"level-{k}.dcm" for k in range(3)]
    for level, array in enumerate(pyramid.levels[:3]):
        read = READERS[reader](out / f"level-{level}.dcm")
        assert read.shape == array.shape
        assert (read == array[:]).all()
    assert {1, 2} <= set(np.unique(by_highdicom(out / "level-0.dcm")))


def test_bits_are_read_back_pixel_for_pixel(result: OnSlide, tmp_path: Path) -> None:
    out = export(result, tmp_path / "out", seg_type="binary")
    for level, array in enumerate(result.source.pyramid.levels[:3]):
        path = out / f"level-{level}.dcm"
        assert (by_highdicom(path) == array[:]).all()
    data = dcmread(out / "level-0.dcm")
    # By hand: each frame states its segment and place.
    whole = np.zeros((1024, 1536), dtype=np.uint8)
    for item, bits in zip(data.PerFrameFunctionalGroupsSequence, iter_pixels(data), strict=True):
        place = item.PlanePositionSlideSequence[0]
        x, y = place.ColumnPositionInTotalImagePixelMatrix - 1, place.RowPositionInTotalImagePixelMatrix - 1
        number = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        assert bits.any()
        whole[y : y + 512, x : x + 512][bits.astype(bool)] = number
    assert (whole[:700, :1100] == result.labels).all()
    assert len(data.PerFrameFunctionalGroupsSequence) < 2 * 6


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_it_lies_where_the_slide_lies_however_that_is_turned(tmp_path: Path, orientation: str) -> None:
    cosines = ORIENTATIONS[orientation]
    result = write_result(tmp_path, patches(300, 600), stated=facts(cosines))
    source, coarse = dcmread(result.slide), dcmread(result.slide.with_name("2.dcm"))
    for seg_type in ("labelmap", "binary"):
        out = export(result, tmp_path / seg_type, seg_type=seg_type)
        for level in range(2):
            data = dcmread(out / f"level-{level}.dcm")
            assert data.FrameOfReferenceUID == FRAME_OF_REFERENCE
            assert list(data.ImageOrientationSlide) == list(cosines)
            origin = data.TotalPixelMatrixOriginSequence[0]
            at = (origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem)
            assert at == pytest.approx(ORIGIN)
            measures = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
            assert list(measures.PixelSpacing) == pytest.approx([SLIDE_MPP * STEP * 2**level / 1000] * 2)
        labels = dcmread(out / "level-0.dcm")
        # highdicom's own transformation: the slide's level of the same resolution lies as the labels do.
        to_slide = hd.spatial.PixelToPixelTransformer.for_images(
            labels, coarse, for_total_pixel_matrix_from=True, for_total_pixel_matrix_to=True
        )
        assert to_slide(np.array([[0, 0], [599, 299]])).tolist() == [[0, 0], [599, 299]]
        # And by their corners, level 0, whose pixels are smaller.
        to_mm = [_corner_to_mm(image) for image in (source, labels)]
        for x, y in ((0, 0), (600, 0), (0, 300)):
            assert to_mm[0](STEP * x, STEP * y) == pytest.approx(to_mm[1](x, y), abs=1e-9)


def _corner_to_mm(image: Dataset) -> Callable[[float, float], NDArray[np.float64]]:
    """The place of a pixel's corner, with the origin of the matrix for that of its first pixel."""
    first = image.TotalPixelMatrixOriginSequence[0]
    origin = np.array([first.XOffsetInSlideCoordinateSystem, first.YOffsetInSlideCoordinateSystem], float)
    rows, columns = np.array(image.ImageOrientationSlide, float).reshape(2, 3)[:, :2]
    down, across = image.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
    return lambda x, y: origin + x * across * rows + y * down * columns


def test_frames_of_bits_state_where_they_lie_in_mm(tmp_path: Path) -> None:
    result = write_result(tmp_path, patches(), stated=facts(ORIENTATIONS["turned by a quarter"]))
    data = dcmread(export(result, tmp_path / "out", seg_type="binary") / "level-0.dcm")
    to_mm, seen = _corner_to_mm(data), set()
    for item in data.PerFrameFunctionalGroupsSequence:
        place = item.PlanePositionSlideSequence[0]
        x, y = place.ColumnPositionInTotalImagePixelMatrix - 1, place.RowPositionInTotalImagePixelMatrix - 1
        at = (place.XOffsetInSlideCoordinateSystem, place.YOffsetInSlideCoordinateSystem)
        assert at == pytest.approx(to_mm(x, y), abs=1e-6)
        seen.add(tuple(item.FrameContentSequence[0].DimensionIndexValues))
    assert len(seen) == data.NumberOfFrames


def test_it_refers_to_the_slide_and_says_who_made_it(result: OnSlide, tmp_path: Path) -> None:
    out = export(result, tmp_path / "out")
    files = [dcmread(path) for path in sorted(out.iterdir())]
    source = dcmread(result.slide)
    assert len({data.SOPInstanceUID for data in files}) == len(files)
    for name in ("SeriesInstanceUID", "PyramidUID", "StudyInstanceUID"):
        assert len({data[name].value for data in files}) == 1
    for data in files:
        assert (data.StudyInstanceUID, data.PatientID) == (source.StudyInstanceUID, "P-1")
        assert str(data.PatientName) == "Doe^Jane"
        assert data.SpecimenDescriptionSequence[0].SpecimenIdentifier == "S-1 A"
        (series,) = data.ReferencedSeriesSequence
        assert series.SeriesInstanceUID == source.SeriesInstanceUID != data.SeriesInstanceUID
        referenced = {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence}
        assert referenced == {dcmread(path).SOPInstanceUID for path in result.slide.parent.iterdir()}
        assert data.ManufacturerModelName == "wsi-seg"
        for segment in data.SegmentSequence[1:]:
            (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
            assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("a-model", "abc123")
            assert '"labels": {"slide"' in algorithm.AlgorithmParameters


def test_segments_are_the_classes_in_their_colours(result: OnSlide, tmp_path: Path) -> None:
    data = hd.seg.segread(export(result, tmp_path / "out") / "level-0.dcm")
    described = [data.get_segment_description(number) for number in (1, 2)]
    assert [segment.SegmentLabel for segment in described] == ["Stroma", "Tumour"]
    for segment, kind in zip(described, SCHEMA.classes[1:], strict=True):
        color = hd.color.CIELabColor.from_dicom_value(tuple(segment.RecommendedDisplayCIELabValue))
        assert np.abs(np.subtract(color.to_rgb(), kind.color)).max() <= 1
    assert [segment.SegmentLabel for segment in data.SegmentSequence] == ["Background", "Stroma", "Tumour"]


def test_the_background_is_a_segment_if_asked_for(result: OnSlide, tmp_path: Path) -> None:
    out = export(result, tmp_path / "out", include_background=True)
    assert (by_pydicom(out / "level-0.dcm") == result.labels + 1).all()
    names = [segment.SegmentLabel for segment in dcmread(out / "level-0.dcm").SegmentSequence]
    assert names == ["Background", "Glass", "Stroma", "Tumour"]


def test_unprocessed_pixels_are_a_segment_of_their_own(tmp_path: Path) -> None:
    labels = patches(300, 600)
    labels[:90, :70], labels[200:, 500:] = UNPROCESSED_ID, OUTSIDE_ID
    result = write_result(tmp_path, labels)
    data = dcmread(export(result, tmp_path / "out") / "level-0.dcm")
    assert [segment.SegmentLabel for segment in data.SegmentSequence][1:] == [
        "Stroma",
        "Tumour",
        "Unprocessed",
    ]
    read = by_pydicom(tmp_path / "out" / "level-0.dcm")
    assert (read[labels == UNPROCESSED_ID] == 3).all()
    assert (read[labels == OUTSIDE_ID] == 0).all()
    bits = export(result, tmp_path / "bits", seg_type="binary")
    assert (by_highdicom(bits / "level-0.dcm") == read).all()


@pytest.mark.parametrize("seg_type", ["labelmap", "binary"])
@pytest.mark.parametrize("found", [True, False])
def test_a_single_class_that_is_found_or_not(tmp_path: Path, seg_type: str, found: bool) -> None:
    schema = ClassSchema(name="one", background="Glass", classes=SCHEMA.classes[:2])
    labels = np.zeros((300, 600), dtype=np.uint8)
    labels[200:220, 100:130] = found
    result = write_result(tmp_path, labels, schema)
    path = export(result, tmp_path / "out", seg_type=seg_type) / "level-0.dcm"
    assert (by_highdicom(path) == labels).all()
    assert dcmread(path).NumberOfFrames == (2 if seg_type == "labelmap" else 1)
    assert "SegmentIdentificationSequence" not in dcmread(path).SharedFunctionalGroupsSequence[0]


def test_without_an_encoder_of_jpeg_ls_it_is_rle(
    result: OnSlide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = export(result, tmp_path / "out")
    assert dcmread(out / "level-0.dcm").file_meta.TransferSyntaxUID == JPEGLSLossless

    class Missing:
        is_available = False

    monkeypatch.setattr(encoding, "get_encoder", lambda _: Missing)
    other = tmp_path / "other"
    written = prepare_seg(result.source, other, Options(slide=result.slide))()
    assert "labelmap, compressed by RLE" in written.lines[0]
    assert dcmread(other / "level-0.dcm").file_meta.TransferSyntaxUID == RLELossless
    assert (by_pydicom(other / "level-0.dcm") == result.labels).all()
    assert (by_highdicom(other / "level-0.dcm") == result.labels).all()


@pytest.mark.parametrize("reader", READERS)
def test_offsets_beyond_a_basic_table_are_in_an_extended_one(
    result: OnSlide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    assert vars(seg)["LARGEST"] == streamed.LARGEST  # imported by now: it keeps the true one for other tests
    monkeypatch.setattr(streamed, "LARGEST", 100)
    out = export(result, tmp_path / "out")
    assert "ExtendedOffsetTable" in dcmread(out / "level-0.dcm")
    assert (READERS[reader](out / "level-0.dcm") == result.labels).all()


def test_names_that_dicom_does_not_take_are_described(tmp_path: Path) -> None:
    long = "Sehr lange Bezeichnung einer Gewebsklasse, länger als die 64 Zeichen, die DICOM erlaubt"
    kinds = (
        SCHEMA.classes[0],
        *(
            kind.model_copy(update={"name": name})
            for kind, name in zip(SCHEMA.classes[1:], (long, "Krebs\\Rand"), strict=True)
        ),
    )
    schema = ClassSchema(name="named", background="Glass", classes=kinds)
    stated = facts(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jürgen")
    result = write_result(tmp_path, patches(200, 300), schema, stated)
    data = dcmread(export(result, tmp_path / "out") / "level-0.dcm")
    _, first, second = data.SegmentSequence
    assert (first.SegmentLabel, first.SegmentDescription) == (long.encode()[:64].decode(), long)
    assert (second.SegmentLabel, second.SegmentDescription) == ("Krebs/Rand", "Krebs\\Rand")
    assert str(data.PatientName) == "Müller^Jürgen"
    assert data.SpecificCharacterSet == "ISO_IR 192"
