"""Annotations: the polygons of the GeoJSON, read back by highdicom, pydicom and wsidicom."""

from __future__ import annotations

import json
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
import shapely
from helpers.dicom_results import ORIENTATIONS, OnSlide, facts, patches, write_result
from pydicom import dcmread
from shapely.geometry import shape
from wsidicom import WsiDicom

from wsi_seg.errors import OutputError
from wsi_seg.exports import geojson
from wsi_seg.exports.dicom.prepare import prepare_ann
from wsi_seg.exports.options import Options


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> OnSlide:
    folder = tmp_path_factory.mktemp("ann")
    return write_result(folder, patches(), stated=facts(ORIENTATIONS["turned by a half"]))


@pytest.fixture(scope="module")
def written(result: OnSlide, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(result, tmp_path_factory.mktemp("out") / "slide.dcm", min_area_um2=500)


def export(result: OnSlide, out: Path, **options: object) -> Path:
    prepare_ann(result.source, out, Options(slide=result.slide, **options))()  # type: ignore[arg-type]
    return out


def by_highdicom(path: Path) -> dict[str, list[shapely.Polygon]]:
    """The polygons of each class; coordinates are pixels of the total pixel matrix."""
    data = hd.ann.annread(path)
    return {
        group.label: [shapely.Polygon(ring) for ring in group.get_graphic_data("2D")]
        for group in data.get_annotation_groups()
    }


def by_pydicom(path: Path) -> dict[str, list[shapely.Polygon]]:
    found = {}
    for group in dcmread(path).AnnotationGroupSequence:
        points = np.frombuffer(group.DoublePointCoordinatesData).reshape(-1, 2)
        starts = (np.frombuffer(group.LongPrimitivePointIndexList, np.uint32) - 1) // 2
        found[group.AnnotationGroupLabel] = [shapely.Polygon(r) for r in np.split(points, starts[1:])]
    return found


def by_wsidicom(path: Path) -> dict[str, list[shapely.Polygon]]:
    with WsiDicom.open(sorted(path.parent.glob("*.dcm"))) as slide:
        (instance,) = slide.annotations
    return {
        group.label: [
            shapely.Polygon([(point.x, point.y) for point in annotation.geometry.points])
            for annotation in group.annotations
        ]
        for group in instance.groups
    }


def polygons_of(result: OnSlide, path: Path) -> dict[str, list[shapely.Geometry]]:
    """The same from GeoJSON; QuPath's frame is that of the slide, which states no bounds."""
    geojson.prepare(result.source, path, Options(min_area_um2=500))()
    found: dict[str, list[shapely.Geometry]] = {}
    for feature in json.loads(path.read_bytes())["features"]:
        found.setdefault(feature["properties"]["classification"]["name"], []).append(
            shape(feature["geometry"])
        )
    return found


@pytest.mark.parametrize("reader", [by_highdicom, by_pydicom, by_wsidicom])
def test_annotations_are_the_polygons_of_the_geojson(
    result: OnSlide, written: Path, tmp_path: Path, reader: object
) -> None:
    assert callable(reader)
    if reader is by_wsidicom:
        for file in result.slide.parent.iterdir():
            (written.parent / file.name).write_bytes(file.read_bytes())
    expected = polygons_of(result, tmp_path / "slide.geojson")
    found = reader(written)
    assert list(found) == ["Stroma", "Tumour"]
    for name, polygons in expected.items():
        assert all(piece.is_valid for piece in found[name])
        whole, pieces = shapely.union_all(polygons), shapely.union_all(found[name])
        assert shapely.symmetric_difference(whole, pieces).area < 1e-6
        assert sum(piece.area for piece in found[name]) == pytest.approx(whole.area, rel=1e-9)


def test_rings_do_not_repeat_their_first_point(written: Path) -> None:
    for group in hd.ann.annread(written).get_annotation_groups():
        for ring in group.get_graphic_data("2D"):
            assert len(ring) >= 3
            assert (ring[0] != ring[-1]).any()


def test_pieces_of_a_polygon_with_holes_name_it_and_their_areas(
    result: OnSlide, written: Path, tmp_path: Path
) -> None:
    expected = polygons_of(result, tmp_path / "slide.geojson")
    holed = sum(len(p.interiors) > 0 for p in expected["Stroma"])
    assert holed > 0
    data = hd.ann.annread(written)
    assert (data.AnnotationCoordinateType, data.PixelOriginInterpretation) == ("2D", "VOLUME")
    (stroma,) = [group for group in data.get_annotation_groups() if group.label == "Stroma"]
    names, values, units = stroma.get_measurements()
    assert [name.meaning for name in names] == ["Area", "Number of the polygon that it is, or is a piece of"]
    assert [unit.value for unit in units] == ["um2", "1"]
    rings = stroma.get_graphic_data("2D")
    um2 = [shapely.Polygon(ring).area * 0.25 for ring in rings]
    assert values[:, 0].tolist() == pytest.approx(um2, rel=1e-6)
    by_number: dict[int, float] = {}
    for number, area in zip(values[:, 1].tolist(), um2, strict=True):
        by_number[int(number)] = by_number.get(int(number), 0.0) + area
    assert len(by_number) == len(expected["Stroma"])
    assert sorted(by_number.values()) == pytest.approx(
        sorted(polygon.area * 0.25 for polygon in expected["Stroma"]), rel=1e-6
    )


def test_the_export_says_what_became_of_holes(result: OnSlide, tmp_path: Path) -> None:
    said = prepare_ann(result.source, tmp_path / "a.dcm", Options(slide=result.slide))()
    assert any("with holes, cut into" in line for line in said.lines)
    assert any(line.startswith("private codes for Stroma, Tumour: ") for line in said.lines)


def test_it_refers_to_level_0_of_the_slide(result: OnSlide, written: Path) -> None:
    data, source = dcmread(written), dcmread(result.slide)
    (image,) = data.ReferencedImageSequence
    assert image.ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert data.StudyInstanceUID == source.StudyInstanceUID
    (algorithm,) = data.AnnotationGroupSequence[0].AnnotationGroupAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("a-model", "abc123")
    assert '"min_area_um2": 500' in algorithm.AlgorithmParameters


def test_nothing_to_annotate_is_refused(tmp_path: Path) -> None:
    result = write_result(tmp_path, np.zeros((200, 300), dtype=np.uint8))
    with pytest.raises(OutputError, match="there is no polygon to write"):
        export(result, tmp_path / "a.dcm")
    assert not (tmp_path / "a.dcm").exists()
