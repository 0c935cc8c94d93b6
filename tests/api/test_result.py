from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pytest
import shapely
from conftest import tissue_rgb, write_tiff
from helpers.results import features_of, labels_of
from numpy.typing import NDArray

import wsi_seg as ws
from wsi_seg.errors import OutputError, UsageError
from wsi_seg.results.labels.seals import DamagedError
from wsi_seg.results.qupath.geojson_check import check_file
from wsi_seg.slides.lattice import Rect


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, model_path: Path, slide_path: Path) -> Path:
    """A finished result with confidence."""
    out = tmp_path_factory.mktemp("results") / "slide"
    ws.segment(slide_path, model_path, out=out, confidence=True, device="cpu", workers=1)
    return out


def test_areas_are_those_of_the_label_pixels(folder: Path) -> None:
    result = ws.open_result(folder)
    labels = labels_of(folder)
    expected = {c.name: float((labels == c.id).sum()) * 4e-6 for c in result.classes}
    assert result.areas_mm2 == pytest.approx(expected)
    assert sum(result.areas_mm2.values()) > 0
    assert {c.name: c.mm2 for c in result.summary.classes} == pytest.approx(expected)
    assert result.mpp == pytest.approx((2.0, 2.0))


def test_a_rectangle_of_labels_is_typed(folder: Path) -> None:
    result = ws.open_result(folder)
    assert_type(result.labels[0:2, 0:3], NDArray[np.uint8])
    assert_type(result.confidence[0:2], NDArray[np.uint8])
    assert result.labels[0:2, 0:3].shape == (2, 3)


def test_areas_come_from_the_sealed_labels_and_not_from_a_summary_that_was_edited(
    folder: Path, tmp_path: Path
) -> None:
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    expected = ws.open_result(copy).areas_mm2
    document = json.loads((copy / "summary.json").read_text())
    document["classes"][1]["mm2"] = 99.0
    (copy / "summary.json").write_text(json.dumps(document))
    assert ws.open_result(copy).areas_mm2 == expected


def test_polygons_are_drawn_as_the_results_own_unless_asked_otherwise(
    tmp_path: Path, model_path: Path, slide_path: Path
) -> None:
    asked: dict[str, Any] = {"min_area_um2": 4000, "simplify_um": 8, "include_background": True}
    made = ws.segment(slide_path, model_path, out=tmp_path / "r", device="cpu", workers=1, **asked)
    own = len(features_of(made.path))
    for result in (made, ws.open_result(tmp_path / "r")):
        assert len(result.polygons()) == own < len(result.polygons(min_area_um2=0, include_background=True))
        assert len(result.polygons(include_background=False)) < own
    written = made.to_geojson(tmp_path / "again.geojson.gz")
    assert written.read_bytes() == (made.path / "slide.geojson.gz").read_bytes()


def test_labels_are_read_like_an_array(folder: Path) -> None:
    whole, image = labels_of(folder), ws.open_result(folder).labels
    assert (image.shape, image.dtype, len(image)) == (whole.shape, np.dtype(np.uint8), 500)
    np.testing.assert_array_equal(image[0:512, 0:512], whole[0:512, 0:512])
    np.testing.assert_array_equal(image[30:60, 600:], whole[30:60, 600:])
    np.testing.assert_array_equal(image[-10:, :-600], whole[-10:, :-600])
    np.testing.assert_array_equal(image[499], whole[499])
    np.testing.assert_array_equal(image[:, -1], whole[:, -1])
    np.testing.assert_array_equal(image[..., 0], whole[..., 0])
    np.testing.assert_array_equal(np.asarray(image), whole)
    assert image[5:5, 0:9].shape == (0, 9)
    assert image[499, 699] == whole[499, 699]
    with pytest.raises(IndexError, match="500 is outside a side of 500 label pixels"):
        image[500, 0]
    for index in (np.s_[::2, :], np.s_[0:1, 0:1, 0:1], np.s_[..., 0, 0], 1.5, [1, 2]):
        with pytest.raises(UsageError, match="labels are"):
            image[index]


def test_only_what_is_asked_for_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wsi_seg.results.labels.read_labels import LabelPyramid

    asked = []
    read = LabelPyramid.read

    def noted(self: LabelPyramid, rect: Rect, level: int = 0) -> NDArray[np.uint8]:
        asked.append(rect.area)
        return read(self, rect, level)

    monkeypatch.setattr(LabelPyramid, "read", noted)
    ws.open_result(folder).labels[10:20, 30:60]
    assert asked == [300]


def test_confidence_is_there_if_it_was_asked_for(folder: Path, model_path: Path, tmp_path: Path) -> None:
    sure = ws.open_result(folder).confidence[:, :]
    assert sure.shape == (500, 700)
    assert sure.max() > 80
    slide = write_tiff(tmp_path / "small.tiff", tissue_rgb(128, 128))
    without = ws.segment(slide, model_path, out=tmp_path / "out", device="cpu", workers=1)
    with pytest.raises(UsageError, match="has no confidence: segment it with confidence=True"):
        _ = without.confidence


def test_polygons_are_those_of_the_file(folder: Path) -> None:
    features = {f["id"]: f for f in features_of(folder)}
    drawn = ws.open_result(folder).polygons(frame="qupath")
    assert {p.id for p in drawn} == features.keys()
    for polygon in drawn:
        feature = features[polygon.id]
        assert shapely.equals_exact(polygon.geometry, shapely.geometry.shape(feature["geometry"]), 1e-9)
        assert polygon.class_name == feature["properties"]["classification"]["name"]
        measured = feature["properties"]["measurements"]
        assert polygon.area_um2 == pytest.approx(measured["Area um^2"], abs=0.01)
        assert polygon.mean_confidence == pytest.approx(measured["Mean confidence"], abs=1e-4)


def test_polygons_say_in_which_frame_they_lie(model_path: Path, tmp_path: Path) -> None:
    slide = write_tiff(tmp_path / "fine.tiff", tissue_rgb(400, 600), mpp=1.0)
    result = ws.segment(slide, model_path, out=tmp_path / "out", device="cpu", workers=1)
    by_frame = {f: result.polygons(frame=f, min_area_um2=0)[0] for f in ("slide", "qupath", "label")}
    assert [p.frame for p in by_frame.values()] == ["slide", "qupath", "label"]
    slide_xy, label_xy = (shapely.get_coordinates(by_frame[f].geometry) for f in ("slide", "label"))
    np.testing.assert_allclose(slide_xy, result.frames.label_to_slide(label_xy), atol=1e-6)
    np.testing.assert_allclose(slide_xy, 2 * label_xy, atol=1e-6)
    with pytest.raises(UsageError, match="frame='level': use 'slide', 'qupath' or 'label'"):
        result.polygons(frame="level")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"frame=array.*use 'slide'"):
        result.polygons(frame=np.zeros(3))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"labels are indexed by whole numbers, .* and not by True"):
        _ = result.labels[True]
    with pytest.raises(UsageError, match=r"simplify_um=-1: "):
        result.polygons(simplify_um=-1)


def test_geojson_is_written_for_qupath(folder: Path, tmp_path: Path) -> None:
    result = ws.open_result(folder)
    path = result.to_geojson(str(tmp_path / "exact.geojson"), simplify_um=0, min_area_um2=0)
    report = ws.check_geojson(path)
    assert report.ok
    assert report.polygons == len(result.polygons(simplify_um=0, min_area_um2=0)) > 0
    packed = result.to_geojson(tmp_path / "packed.geojson.gz", object_type="detection")
    assert packed.read_bytes()[:2] == b"\x1f\x8b"
    assert check_file(packed).ok
    with pytest.raises(UsageError, match="is a result's own, and no file for this"):
        result.to_geojson(folder / "summary.json")
    with pytest.raises(
        UsageError, match=rf"^{tmp_path}: is a folder: name a file, such as {tmp_path}/slide.geo"
    ):
        result.to_geojson(tmp_path)
    for name in ("a.txt", "a", "a.gz", "a.geojson.zip", "a.csv"):
        with pytest.raises(
            UsageError, match=f"{name}: not a name for .*: QuPath reads .geojson and .geojson.gz"
        ):
            result.to_geojson(tmp_path / name)
    upper = result.to_geojson(tmp_path / "UPPER.GEOJSON.GZ")
    assert ws.check_geojson(upper).ok


def test_polygons_as_a_table(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("geopandas")
    result = ws.open_result(folder)
    table, drawn = result.to_geopandas(min_area_um2=2000), result.polygons(min_area_um2=2000)
    assert list(table["class"]) == [p.class_name for p in drawn]
    np.testing.assert_allclose(table.geometry.area * 4, table["area_um2"], rtol=1e-6)
    assert table.attrs["frame"] == "slide"
    monkeypatch.setitem(sys.modules, "geopandas", None)
    with pytest.raises(UsageError, match=r"geopandas, which is not installed: pip install 'wsi-seg\[geo\]'"):
        result.to_geopandas()


def test_polygons_and_labels_are_written_for_other_programs(folder: Path, tmp_path: Path) -> None:
    geopandas = pytest.importorskip("geopandas", reason="geopandas is not installed: pip install '.[geo]'")
    result = ws.open_result(folder)
    path = result.to_parquet(str(tmp_path / "slide.parquet"), min_area_um2=2000, frame="um")
    table, drawn = geopandas.read_parquet(path), result.polygons(min_area_um2=2000)
    assert list(table["id"]) == [p.id for p in drawn]
    np.testing.assert_allclose(table.area, [p.area_um2 for p in drawn], rtol=1e-6)
    store = result.to_spatialdata(tmp_path / "slide.zarr", image="none", min_area_um2=2000)
    inside = geopandas.read_parquet(store / "shapes" / "polygons" / "shapes.parquet")
    assert inside.equals(table)
    wrong: Any = "px"
    with pytest.raises(UsageError, match=r"^frame='px': use 'slide', 'qupath', 'label' or 'um'$"):
        result.to_parquet(tmp_path / "a.parquet", frame=wrong)
    with pytest.raises(UsageError, match=r"^image='px': use 'overview', 'slide' or 'none'$"):
        result.to_spatialdata(tmp_path / "a.zarr", image=wrong)
    with pytest.raises(UsageError, match=r"^min_area_um2=-1: "):
        result.to_parquet(tmp_path / "a.parquet", min_area_um2=-1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["slide.parquet", "slide.zarr"]


def test_a_damaged_result_is_not_opened(folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    shard = max((copy / "slide.ome.zarr/labels/tissue/0").rglob("*"), key=lambda p: p.stat().st_size)
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(DamagedError, match="altered or cut"):
        ws.open_result(copy)


def test_what_is_no_finished_result_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such folder"):
        ws.open_result(tmp_path / "nothing")
    (tmp_path / "begun/.wsi-seg").mkdir(parents=True)
    with pytest.raises(OutputError, match="not finished: segment it again, which resumes it"):
        ws.open_result(tmp_path / "begun")
    with pytest.raises(UsageError, match="not a path"):
        ws.open_result(3)  # type: ignore[arg-type]


def test_labels_that_lie_alone_are_a_result(folder: Path, tmp_path: Path) -> None:
    import shutil

    alone = ws.open_result(shutil.copytree(folder / "slide.ome.zarr", tmp_path / "copy.ome.zarr"))
    assert alone.areas_mm2 == ws.open_result(folder).areas_mm2
    assert alone.path == tmp_path / "copy.ome.zarr"
    with pytest.raises(OutputError, match=r"has no summary.json"):
        _ = alone.summary


def test_of_a_folder_of_results_one_is_to_be_named(tmp_path: Path) -> None:
    (tmp_path / "demo" / "slide.ome.zarr").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"holds 1 result, and is none itself: name one, such as .*demo$"):
        ws.open_result(tmp_path)


def test_a_warning_names_the_users_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsi_seg.api.result.require_whole", lambda zarr: "made before digests were kept")
    with pytest.warns(UserWarning, match="made before digests were kept") as caught:
        ws.open_result(folder)
    assert {warning.filename for warning in caught} == {__file__}
