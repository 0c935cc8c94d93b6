"""What follows from the labels: polygons, made again where they are needed, and their areas."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import tissue_rgb, write_tiff
from helpers.predictions import settings
from helpers.results import Recorder, features_of, labels_of
from shapely.geometry import shape

from wsi_seg.errors import OutputError, SlideError
from wsi_seg.predict import predict_slide as predict
from wsi_seg.predict.finish import export_again
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.settings import ExportSettings


def test_the_summary_tells_the_areas_of_the_polygons_too(result: Path) -> None:
    summary = json.loads((result / "summary.json").read_text())
    outlined: dict[str, float] = {}
    sieved: dict[str, float] = {}
    for feature in features_of(result):
        name = feature["properties"]["classification"]["name"]
        measured = feature["properties"]["measurements"]
        assert measured["Area um^2"] == pytest.approx(shape(feature["geometry"]).area * 4, abs=0.01)
        outlined[name] = outlined.get(name, 0) + shape(feature["geometry"]).area * 4e-6
        sieved[name] = sieved.get(name, 0) + measured["Label area um^2"] / 1e6
    assert outlined
    for c in summary["classes"]:
        if c["no_polygons"] is None:
            assert c["outlined_mm2"] == pytest.approx(outlined.get(c["name"], 0))
        if c["polygons"]:
            assert c["sieved_mm2"] == pytest.approx(sieved[c["name"]])
            assert c["outlined_mm2"] == pytest.approx(c["sieved_mm2"], rel=0.01)
    assert summary["simplify"] == {"asked_um": pytest.approx(3), "used_um": pytest.approx(3)}


def test_polygons_that_were_deleted_are_made_again(result: Path, slide_path: Path, model_path: Path) -> None:
    before = (result / "slide.geojson.gz").read_bytes()
    (result / "slide.geojson.gz").unlink()
    heard = Recorder()
    predict_slide(slide_path, result, settings(model_path), heard)
    assert heard.regions == 0
    assert (result / "slide.geojson.gz").read_bytes() == before


def test_other_export_settings_need_no_inference(slide_path: Path, model_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_slide(slide_path, out, settings(model_path))
    heard = Recorder()
    exact = ExportSettings(simplify_um=0, min_area_um2=0, include_background=True)
    predict_slide(slide_path, out, settings(model_path, export=exact), heard)
    assert heard.regions == 0
    labels = labels_of(out)
    by_class: dict[str, float] = {}
    for feature in features_of(out):
        name = feature["properties"]["classification"]["name"]
        by_class[name] = by_class.get(name, 0) + shape(feature["geometry"]).area
    for name, value in (("Glass", 0), ("Stroma", 1), ("Tumour", 2)):
        assert by_class.get(name, 0) == (labels == value).sum()


def test_polygons_that_fail_cost_no_labels(
    slide_path: Path, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OutputError("slide.geojson.gz: No space left on device")

    out, heard = tmp_path / "out", Recorder()
    with monkeypatch.context() as patched:
        patched.setattr("wsi_seg.predict.finish.export_polygons", fail)
        with pytest.raises(OutputError, match="No space left"):
            predict_slide(slide_path, out, settings(model_path), heard)
    assert heard.regions >= 1
    again = Recorder()
    predict_slide(slide_path, out, settings(model_path), again)
    assert again.regions <= 24 - heard.regions
    assert features_of(out)


def test_polygons_are_not_made_again_beside_another_slide(
    slide_path: Path, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide, out = tmp_path / "s.tiff", tmp_path / "out"
    shutil.copy(slide_path, slide)
    predict_slide(slide, out, settings(model_path))
    draw = export_again

    def replace_and_draw(*given: Any) -> Any:
        write_tiff(slide, tissue_rgb(500, 700, seed=1))
        return draw(*given)

    monkeypatch.setattr(predict, "export_again", replace_and_draw)
    with pytest.raises(SlideError, match="was changed while the slide was read"):
        predict_slide(slide, out, settings(model_path, export=ExportSettings(simplify_um=8)))
