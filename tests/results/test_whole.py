"""Whether damage to a result is found, whatever file it strikes and in whatever way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import SCHEMA

from wsi_seg.errors import OutputError
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.ngff_attributes import PyramidLayout
from wsi_seg.results.labels.pyramid import PyramidWriter
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.labels.seals import document_path
from wsi_seg.results.record import RegionTotals, RunRecord
from wsi_seg.results.whole import check_labels, check_result, require_own, require_whole
from wsi_seg.slides.frames import Bounds, Frames
from wsi_seg.slides.lattice import Lattice, Rect

WIDTH, HEIGHT = 300, 280
LATTICE = Lattice(WIDTH, HEIGHT, patch=128, halo=0, region_cores=1)
PIXELS = {0: 128 * 300, 1: 128 * 300, 2: 24 * 300}


def write_result(folder: Path, ngff: str) -> ResultFolder:
    """Write a finished result: bands of three classes, with confidence, and documents of a few bytes."""
    result = ResultFolder(folder)
    frames = Frames(
        bounds=Bounds(x=0, y=0, width=2 * WIDTH, height=2 * HEIGHT),
        slide_mpp=(1.0, 1.0),
        downsample=(2.0, 2.0),
        label_size=(WIDTH, HEIGHT),
    )
    layout = PyramidLayout(frames, SCHEMA, LATTICE.region, 1, ngff, confidence=True)  # type: ignore[arg-type]
    writer = PyramidWriter(result.zarr, layout)
    result.work.mkdir(parents=True)
    writer.create({"slide": "a.svs"})
    files: dict[str, str] = {}
    for region in LATTICE.regions():
        rect = region.label_rect
        labels = np.full((rect.height, rect.width), region.row, dtype=np.uint8)
        files |= writer.write_region(rect, labels, labels + np.uint8(100 + region.column))
    files |= writer.write_overview(np.full((140, 150, 3), 90, dtype=np.uint8))
    writer.seal(PIXELS, files | writer.build_levels(1))
    documents = (result.geojson(True), *result.documents)
    for path in documents:
        path.write_text(f"this is {path.name}")
    totals = RegionTotals(pixels=PIXELS, unreadable=0, patches=9, seconds={})
    files = result.take_stock(document_path(result.zarr), *documents)
    result.write_record(RunRecord(progress="finished", labels={}, export={}, totals=totals, files=files))
    return result


@pytest.fixture(scope="module", params=["0.5", "0.4"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ResultFolder:
    return write_result(tmp_path_factory.mktemp("whole") / "slide", request.param)


@pytest.fixture
def result(whole: ResultFolder, tmp_path: Path) -> ResultFolder:
    shutil.copytree(whole.folder, tmp_path / "slide")
    return ResultFolder(tmp_path / "slide")


def change_document(result: ResultFolder, **own: object) -> None:
    """Alter what is ours in the document that holds the seal; None takes it away."""
    path = document_path(result.zarr)
    document = json.loads(path.read_text())
    ours = document.get("attributes", document)["wsi_seg"]
    ours.update(own)
    for name in [name for name, value in own.items() if value is None]:
        del ours[name]
    path.write_text(json.dumps(document))


def test_a_whole_result_is_whole_alone_and_as_a_copy(result: ResultFolder, tmp_path: Path) -> None:
    found = check_result(result.folder)
    assert found.ok, found
    assert found.files == sum(p.is_file() for p in result.folder.rglob("*")) - 1  # the record
    (result.zarr / ".DS_Store").write_text("of a Mac")
    (result.zarr / "labels/tissue/0/._c").write_text("of a Mac")
    copy = tmp_path / "elsewhere.ome.zarr"
    shutil.copytree(result.zarr, copy)
    assert check_labels(copy).ok
    assert require_whole(copy) is None


def test_damage_to_any_file_in_any_way_is_found_and_named(result: ResultFolder) -> None:
    files = [p for p in result.folder.rglob("*") if p.is_file() and p != result.record_path]
    assert len(files) > 40
    for path in files:
        sound = path.read_bytes()
        middle = len(sound) // 2
        flipped = sound[:middle] + bytes([sound[middle] ^ 1]) + sound[middle + 1 :]
        for damaged in (None, b"", sound[:-1], flipped):
            path.unlink()
            if damaged is not None:
                path.write_bytes(damaged)
            found = check_result(result.folder)
            assert [damage.path for damage in found.damages] == [path]
            if path.is_relative_to(result.zarr):
                with pytest.raises(OutputError) as told:
                    require_whole(result.zarr)
                assert str(told.value).startswith(f"{path}: ")
                assert "--overwrite" in str(told.value)
            elif path.name != "tissue_mask.png":
                made_again = found.damages[0].remedy == "run `wsi-seg predict` again to make it again"
                assert made_again == (not damaged)
            path.write_bytes(sound)
    assert check_result(result.folder).ok


def test_files_that_changed_places_or_were_added_are_found(result: ResultFolder) -> None:
    level = result.zarr / "labels/tissue/0"
    level = level / "c" if (level / "c").is_dir() else level
    one, other = level / "0/0", level / "1/1"
    contents = one.read_bytes(), other.read_bytes()
    one.write_bytes(contents[1])
    other.write_bytes(contents[0])
    (level / "7").mkdir()
    shutil.copy(one, level / "7/0")
    (level / "7/.DS_Store").write_text("of another program")
    found = check_labels(result.zarr).damages
    assert [d.remedy for d in found if d.what == "does not belong to the result"] == ["remove it"]
    assert [(d.path, d.what) for d in found] == [
        (one, "altered or cut"),
        (other, "altered or cut"),
        (level / "7/0", "does not belong to the result"),
    ]
    with pytest.raises(OutputError, match=r"0/0: altered or cut \(and 2 more"):
        require_whole(result.zarr)


def test_a_file_that_is_lost_while_labels_are_read_is_not_taken_for_unprocessed(result: ResultFolder) -> None:
    labels = read_labels(result.zarr)
    whole = Rect(0, 0, HEIGHT, WIDTH)
    assert labels.read(whole).max() == 2
    next((result.zarr / "labels/tissue/0").glob("**/1/1")).unlink()
    next((result.zarr / "labels/confidence/0").glob("**/1/1")).unlink()
    for read in (labels.read, labels.read_confidence):
        with pytest.raises(OutputError, match=r"slide\.ome\.zarr: cannot be read \(.*1/1 is missing\)"):
            read(whole)
    assert labels.read(Rect(0, 0, 128, WIDTH)).max() == 0


def test_a_resolution_that_was_altered_in_a_copy_is_found(result: ResultFolder, tmp_path: Path) -> None:
    copy = ResultFolder(tmp_path)
    shutil.copytree(result.zarr, copy.zarr)
    change_document(copy, slide="another.svs")
    with pytest.raises(OutputError, match="altered"):
        require_whole(copy.zarr)


def test_a_whole_zarr_of_another_run_is_none_of_this_one(
    result: ResultFolder, tmp_path: Path, whole: ResultFolder
) -> None:
    ngff = "0.5" if (whole.zarr / "zarr.json").exists() else "0.4"
    other = write_result(tmp_path / "other", ngff)
    other.write_record(RunRecord(progress="finished", labels={}, export={}, files={}))
    with pytest.raises(OutputError, match="from another run than the record beside it"):
        require_whole(other.zarr)


def test_an_unfinished_zarr_or_result_is_not_whole(result: ResultFolder, tmp_path: Path) -> None:
    record = result.read_record()
    assert record is not None
    result.write_record(record.model_copy(update={"progress": "exporting"}))
    assert [d.what for d in check_result(result.folder).damages] == ["not finished"]
    path = document_path(result.zarr)
    document = json.loads(path.read_text())
    document.get("attributes", document)["wsi_seg"]["seal"] = None
    path.write_text(json.dumps(document))
    with pytest.raises(OutputError, match="not finished: run `wsi-seg predict` again"):
        require_whole(result.zarr)


def test_results_of_before_there_were_seals_are_counted_where_they_can_be(result: ResultFolder) -> None:
    record = result.read_record()
    assert record is not None
    change_document(result, seal=None)
    with pytest.raises(OutputError, match="altered"):  # the record knows of a seal
        require_whole(result.zarr)
    result.write_record(record.model_copy(update={"files": None}))
    assert "its pixel counts are right, more cannot be checked" in (require_whole(result.zarr) or "")
    assert not check_result(result.folder).ok
    result.record_path.rename(result.record_path.with_suffix(".away"))
    assert "it cannot be checked" in (require_whole(result.zarr) or "")
    result.record_path.with_suffix(".away").rename(result.record_path)
    next((result.zarr / "labels/tissue/0").glob("**/1/1")).unlink()
    with pytest.raises(OutputError, match="its pixels are not those that were counted"):
        require_whole(result.zarr)


def test_polygons_of_an_export_that_was_killed_are_not_whole(result: ResultFolder) -> None:
    result.disown_polygons(result.geojson(True))
    assert {d.path.name for d in check_result(result.folder).damages} == {
        "slide.geojson.gz",
        "summary.json",
        "summary.csv",
    }
    result.own_polygons(result.geojson(True))
    assert check_result(result.folder).ok


def test_a_missing_or_damaged_record_is_told(result: ResultFolder) -> None:
    result.record_path.write_text("{")
    assert [d.what for d in check_result(result.folder).damages] == ["damaged (not JSON)"]
    for refused in (check_labels, require_whole):
        with pytest.raises(OutputError, match=r"record\.json: damaged.*: copy the folder again, use a copy"):
            refused(result.zarr)
    result.record_path.unlink()
    (damage,) = check_result(result.folder).damages
    assert (damage.path, damage.what) == (result.record_path, "missing")
    assert check_labels(result.zarr).ok


def test_a_seal_in_another_layout_is_altered_and_not_of_another_run(result: ResultFolder) -> None:
    path = document_path(result.zarr)
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert {(d.path, d.what) for d in check_result(result.folder).damages} == {
        (path, "altered"),
    }


def test_polygons_and_summaries_that_somebody_made_are_not_exported_over(result: ResultFolder) -> None:
    stray, own = result.geojson(False), result.geojson(True)
    require_own(result, own)
    stray.write_text("edited")
    assert [(d.path, d.what) for d in check_result(result.folder).damages] == [
        (stray, "does not belong to the result")
    ]
    for target in (stray, own):
        with pytest.raises(
            OutputError, match=r"slide\.geojson: does not belong to the result: delete it, or move it"
        ):
            require_own(result, target)
    stray.unlink()
    written = own.read_text()
    own.write_text("edited")
    require_own(result, own)  # which is what export was asked to write
    with pytest.raises(OutputError, match=r"slide\.geojson\.gz: altered or cut: delete it, or move it"):
        require_own(result, stray)
    own.write_text(written)
    result.summary_csv.write_text("edited")
    with pytest.raises(OutputError, match=r"summary\.csv: altered or cut: delete it, or move it"):
        require_own(result, own)
