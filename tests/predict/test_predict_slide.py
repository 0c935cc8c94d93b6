"""The main job, from a slide file to a result folder, in process."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import tissue_rgb, write_model, write_tiff
from helpers.predictions import SMALL, settings
from helpers.results import Recorder, features_of, fingerprints, labels_of, shapes_of

from wsi_seg.errors import (
    MppError,
    OutputError,
    UsageError,
)
from wsi_seg.predict import predict_slide as predict
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.qupath.geojson_check import check_file
from wsi_seg.results.summary import Status
from wsi_seg.settings import ExportSettings, RunSettings


def test_a_result_is_whole_and_agrees_with_itself(result: Path) -> None:
    labels = labels_of(result)
    assert labels.shape == (500, 700)
    summary = json.loads((result / "summary.json").read_text())
    assert summary["status"] == "finished"
    for c in summary["classes"]:
        assert c["mm2"] == pytest.approx((labels == c["id"]).sum() * 4e-6)
    assert summary["polygons"] == len(features_of(result))
    assert (
        (result / "summary.csv")
        .read_text()
        .startswith(
            "slide,class_id,class,mm2,share,polygons,sieved_mm2,outlined_mm2,simplify_um,no_polygons\n"
        )
    )
    assert (result / "overview.png").stat().st_size > 1000
    report = check_file(result / "slide.geojson.gz")
    assert not report.faults


def test_paths_may_be_strings(slide_path: Path, model_path: Path, tmp_path: Path, result: Path) -> None:
    summary = predict_slide(str(slide_path), str(tmp_path / "out"), settings(model_path))
    assert summary.status is Status.FINISHED
    assert fingerprints(tmp_path / "out") == fingerprints(result)
    labels = read_labels(str(tmp_path / "out" / "slide.ome.zarr"))
    assert labels.shape == (500, 700)


def test_running_again_does_nothing(result: Path, slide_path: Path, model_path: Path) -> None:
    before, heard = fingerprints(result), Recorder()
    predict_slide(slide_path, result, settings(model_path), heard)
    assert "already finished" in heard.said[0]
    assert heard.regions == 0
    assert fingerprints(result) == before


def test_other_settings_or_models_are_not_mixed_in(
    result: Path, slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    before = fingerprints(result)
    wider = SMALL.model_copy(update={"overlap": 128})
    with pytest.raises(OutputError, match=r"made with --overlap 64, not 128: .*--overwrite"):
        predict_slide(slide_path, result, settings(model_path, wider))
    other = write_model(tmp_path / "other.safetensors", seed=1)
    with pytest.raises(OutputError, match=r"made by another model: .*--overwrite"):
        predict_slide(slide_path, result, settings(other))
    slide = write_tiff(tmp_path / "tissue.tiff", tissue_rgb(500, 700, seed=5))
    with pytest.raises(OutputError, match="holds a result of another slide: use another -o"):
        predict_slide(slide, result, settings(model_path))
    assert fingerprints(result) == before


def test_overwrite_starts_anew(slide_path: Path, model_path: Path, tmp_path: Path) -> None:
    out, heard = tmp_path / "out", Recorder()
    predict_slide(slide_path, out, settings(model_path))
    other = write_model(tmp_path / "other.safetensors", constant=1)
    predict_slide(slide_path, out, settings(other, run=RunSettings(workers=2, overwrite=True)), heard)
    assert heard.regions == 24
    assert (labels_of(out) == 1).all()


def test_bytes_are_the_same_for_one_worker_and_four(
    result: Path, slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    for workers in (1, 4):
        out = tmp_path / str(workers)
        predict_slide(slide_path, out, settings(model_path, run=RunSettings(workers=workers)))
        assert fingerprints(out) == fingerprints(result)


def test_region_size_changes_neither_labels_nor_shapes(
    slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    exact = ExportSettings(simplify_um=0)
    for cores in (1, 3):
        labels = SMALL.model_copy(update={"region_cores": cores})
        predict_slide(slide_path, tmp_path / str(cores), settings(model_path, labels, exact))
    np.testing.assert_array_equal(labels_of(tmp_path / "1"), labels_of(tmp_path / "3"))
    assert shapes_of(tmp_path / "1") == shapes_of(tmp_path / "3")


def test_a_folder_that_cannot_be_written_is_named_before_anything_is_compiled(
    slide_path: Path, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(*_: object) -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr(predict, "choose_form", too_late)
    monkeypatch.setattr("wsi_seg.files.files.os.access", lambda *_: False)
    with pytest.raises(OutputError, match=rf"^{tmp_path}: cannot be written"):
        predict_slide(slide_path, tmp_path / "out", settings(model_path))
    assert not (tmp_path / "out").exists()


def test_an_empty_slide_is_a_valid_empty_result(model_path: Path, tmp_path: Path) -> None:
    slide = write_tiff(tmp_path / "glass.tiff", np.full((300, 400, 3), 243, dtype=np.uint8))
    summary = predict_slide(slide, tmp_path / "out", settings(model_path))
    assert summary.status is Status.NOTHING_FOUND
    assert summary.patches == 0
    assert features_of(tmp_path / "out") == []
    assert not check_file(tmp_path / "out" / "slide.geojson.gz").faults


def test_confidence_and_ngff_0_4_are_written_when_asked_for(
    slide_path: Path, model_path: Path, tmp_path: Path, result: Path
) -> None:
    labels = SMALL.model_copy(update={"confidence": True, "ngff": "0.4"})
    predict_slide(slide_path, tmp_path / "out", settings(model_path, labels))
    np.testing.assert_array_equal(labels_of(tmp_path / "out"), labels_of(result))
    for feature in features_of(tmp_path / "out"):
        assert 0.33 < feature["properties"]["measurements"]["Mean confidence"] <= 1


def test_a_slide_without_resolution_is_refused(model_path: Path, tmp_path: Path) -> None:
    slide = write_tiff(tmp_path / "no-mpp.tiff", tissue_rgb(300, 400), mpp=None)
    with pytest.raises(MppError, match="--mpp"):
        predict_slide(slide, tmp_path / "out", settings(model_path))
    given = SMALL.model_copy(update={"mpp": 2.0})
    assert predict_slide(slide, tmp_path / "out", settings(model_path, given)).status is Status.FINISHED


def test_a_folder_that_holds_something_else_is_left_alone(
    slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "out" / "slide.ome.zarr").mkdir(parents=True)
    with pytest.raises(OutputError, match="--overwrite"):
        predict_slide(slide_path, tmp_path / "out", settings(model_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        predict_slide(slide_path, tmp_path / "file", settings(model_path))


def test_sizes_that_do_not_fit_are_refused(slide_path: Path, model_path: Path, tmp_path: Path) -> None:
    for wrong, says in (
        ({"patch": 100}, "--patch 100: .* multiple of 64"),
        ({"patch": 0}, "--patch 0: .* multiple of 64"),
        ({"overlap": 32}, "--overlap 32: .* multiple of 64"),
        ({"overlap": 65}, "--overlap 65: .* multiple of 64"),
        ({"overlap": 192}, "--overlap 192: leaves nothing of patches of 192 px: .* a larger --patch"),
    ):
        with pytest.raises(UsageError, match=f"^{says}"):
            predict_slide(slide_path, tmp_path / "out", settings(model_path, SMALL.model_copy(update=wrong)))
