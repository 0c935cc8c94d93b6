"""The main job, from a slide file to a result folder, in process."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import shapely
from conftest import tissue_rgb, write_model, write_tiff
from helpers.drawn import write_boxes
from helpers.predictions import SMALL, settings
from helpers.results import Recorder, features_of, fingerprints, labels_of, shapes_of

from wsi_seg.errors import (
    AnnotationError,
    KernelsError,
    MppError,
    OutputError,
    SchedulerError,
    SlideError,
    UsageError,
)
from wsi_seg.inference.network import forms as network
from wsi_seg.models.bundle import load_bundle
from wsi_seg.models.classes import OUTSIDE_ID
from wsi_seg.predict import run as predict
from wsi_seg.predict.plan import Plan
from wsi_seg.predict.run import predict_slide
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.pyramid import PyramidWriter
from wsi_seg.results.labels.reading import read_labels
from wsi_seg.results.qupath.check import check_file
from wsi_seg.results.summary import Status
from wsi_seg.settings import ExportSettings, RunSettings
from wsi_seg.slides.slide import Slide
from wsi_seg.slides.tissue import TissueMask


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


def test_a_run_that_fails_early_ends_at_once(
    slide_path: Path, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Polygons wait for regions that never come; the run tells what stopped it, not that."""

    def fail(*_: object) -> None:
        raise SchedulerError("tcp://somewhere: the connection was lost")

    with monkeypatch.context() as patched:
        patched.setattr("wsi_seg.predict.run.run_regions", fail)
        with pytest.raises(SchedulerError, match="connection was lost"):
            predict_slide(slide_path, tmp_path / "out", settings(model_path))
    assert not (tmp_path / "out" / "slide.geojson.gz").exists()
    predict_slide(slide_path, tmp_path / "out", settings(model_path))
    assert features_of(tmp_path / "out")


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


def test_a_run_that_is_stopped_goes_on_where_it_was(
    result: Path, slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    class StopAfter(Recorder):
        def advance(self, megapixels: float) -> None:
            super().advance(megapixels)
            if self.regions == 5:
                raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        predict_slide(slide_path, out, settings(model_path), StopAfter())
    assert not (out / "slide.ome.zarr").exists()
    assert not (out / "summary.json").exists()
    heard = Recorder()
    predict_slide(slide_path, out, settings(model_path), heard)
    assert "resuming" in heard.said[1]
    assert 0 < heard.regions <= 19
    assert fingerprints(out) == fingerprints(result)


def test_a_tissue_mask_that_is_replaced_is_noticed(
    result: Path, slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    class StopAtOnce(Recorder):
        def begin(self, *_: object) -> None:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        predict_slide(slide_path, out, settings(model_path), StopAtOnce())
    path = out / "tissue_mask.png"
    right = path.read_bytes()
    seal = ResultFolder(out).tissue_seal()
    assert seal == TissueMask.load(path, None).seal
    for begun in (out, result):  # in the middle of a run, and when polygons are made again
        (begun / "tissue_mask.png").unlink()
        TissueMask(np.zeros(seal.size[::-1], bool), seal.factor).save(begun / "tissue_mask.png")
        coarser = settings(model_path, export=ExportSettings(simplify_um=50.0))
        try:
            with pytest.raises(OutputError, match=r"tissue_mask\.png: not the tissue mask .* restore it"):
                predict_slide(slide_path, begun, coarser if begun == result else settings(model_path))
        finally:
            (begun / "tissue_mask.png").write_bytes(right)
            predict_slide(slide_path, begun, settings(model_path))
    assert fingerprints(out) == fingerprints(result)


@pytest.mark.parametrize("broken", ["export_as_they_come", "write_overview"])
def test_what_fails_beside_the_network_ends_the_run_there_and_then(
    result: Path,
    slide_path: Path,
    model_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    def fails(*_: object) -> None:
        raise OutputError("slide.geojson.gz: cannot be written")

    class Slow(Recorder):
        def advance(self, megapixels: float) -> None:
            super().advance(megapixels)
            time.sleep(0.1)  # time enough for the other thread

    heard = Slow()
    with monkeypatch.context() as without:
        without.setattr(PyramidWriter if broken == "write_overview" else predict, broken, fails)
        with pytest.raises(OutputError, match=r"slide\.geojson\.gz: cannot be written"):
            predict_slide(slide_path, tmp_path / "out", settings(model_path), heard)
    assert 1 <= heard.regions <= 3  # of 24
    predict_slide(slide_path, tmp_path / "out", settings(model_path))
    assert fingerprints(tmp_path / "out") == fingerprints(result)


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


@pytest.mark.usefixtures("kernels")
def test_a_run_goes_on_with_the_network_that_it_was_begun_with(
    slide_path: Path, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(Recorder):
        def advance(self, megapixels: float) -> None:
            raise KeyboardInterrupt

    def none_here() -> None:
        raise KernelsError("no C++ compiler")

    out, plain, heard = tmp_path / "out", SMALL.model_copy(update={"compile": "no"}), Stop()
    with monkeypatch.context() as without:
        without.setattr(network, "load_kernels", none_here)
        with pytest.raises(KeyboardInterrupt):
            predict_slide(slide_path, out, settings(model_path), heard)
    assert heard.said[-1] == "network plain: three times slower than compiled: no C++ compiler (float32)"
    assert predict_slide(slide_path, out, settings(model_path)).network == "plain: as at the start of the run"
    expected = predict_slide(slide_path, tmp_path / "plain", settings(model_path, plain))
    assert expected.network == "plain: as asked for"
    np.testing.assert_array_equal(labels_of(out), labels_of(tmp_path / "plain"))

    by_itself = predict_slide(slide_path, tmp_path / "compiled", settings(model_path))
    assert by_itself.network == "compiled: for this processor"
    assert (labels_of(tmp_path / "compiled") == labels_of(out)).mean() >= 0.9999
    with pytest.raises(
        OutputError, match=r"the compiled network, not the plain one \(--compile\): .*--overwrite"
    ):
        predict_slide(slide_path, tmp_path / "compiled", settings(model_path, plain))


def test_regions_of_interest_limit_the_run(slide_path: Path, model_path: Path, tmp_path: Path) -> None:
    roi = tmp_path / "roi.geojson"
    roi.write_text(json.dumps(shapely.geometry.mapping(shapely.box(100, 50, 300, 250))))
    out = tmp_path / "out"
    predict_slide(slide_path, out, settings(model_path, SMALL.model_copy(update={"roi": roi})))
    labels = labels_of(out)
    inside = np.zeros(labels.shape, dtype=bool)
    inside[50:250, 100:300] = True
    assert (labels[~inside] == OUTSIDE_ID).all()
    assert (labels[inside] != OUTSIDE_ID).all()
    roi.write_text("{")
    with pytest.raises(AnnotationError, match=r"roi\.geojson"):
        predict_slide(slide_path, out, settings(model_path, SMALL.model_copy(update={"roi": roi})))


def test_a_run_is_of_the_regions_of_interest_that_it_read(
    slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    roi = write_boxes(tmp_path / "roi.geojson", ("ROI", (0, 0, 300, 300)))
    labels = SMALL.model_copy(update={"roi": roi})
    with Slide(slide_path) as slide:
        plan = Plan.make(slide, load_bundle(model_path), "cpu", settings(model_path, labels))
        read = hashlib.sha256(roi.read_bytes()).hexdigest()
        write_boxes(roi, ("ROI", (300, 0, 700, 300)))  # saved again while the run begins
        assert plan.labels_key["roi"] == read[:16]


def test_regions_of_interest_beyond_the_slide_are_told(
    slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    roi = write_boxes(tmp_path / "roi.geojson", ("A", (100, 50, 300, 250)), ("A", (9000, 0, 9100, 99)))
    labels = SMALL.model_copy(update={"roi": roi})
    summary = predict_slide(slide_path, tmp_path / "out", settings(model_path, labels))
    assert summary.roi_remarks == (f"{roi}: 1 of 2 shapes lies outside of {slide_path.name}",)
    assert json.loads((tmp_path / "out/summary.json").read_text())["roi_remarks"] == list(summary.roi_remarks)
    write_boxes(roi, ("A", (9000, 0, 9100, 99)))
    with pytest.raises(AnnotationError, match=rf"roi\.geojson: no shape lies on {slide_path.name}"):
        predict_slide(slide_path, tmp_path / "none", settings(model_path, labels))
    assert not (tmp_path / "none").exists()


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


@pytest.mark.parametrize("moment", ["regions", "pyramid"])
def test_a_slide_that_is_replaced_in_mid_run_is_never_published(
    slide_path: Path, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    slide, out = tmp_path / "s.tiff", tmp_path / "out"
    shutil.copy(slide_path, slide)
    levels = PyramidWriter.build_levels

    def replace() -> None:
        write_tiff(tmp_path / "other.tiff", tissue_rgb(500, 700, seed=1)).replace(slide)

    class Replace(Recorder):
        def advance(self, megapixels: float) -> None:
            super().advance(megapixels)
            if self.regions == 3 and moment == "regions":
                replace()

    def build_levels(writer: PyramidWriter, workers: int) -> dict[str, str]:
        if moment == "pyramid":
            replace()
        return levels(writer, workers)

    with monkeypatch.context() as during:
        during.setattr(PyramidWriter, "build_levels", build_levels)
        with pytest.raises(SlideError, match=r"s\.tiff: was changed while the slide was read.*--overwrite"):
            predict_slide(slide, out, settings(model_path), Replace())
    assert not (out / "slide.ome.zarr").exists()
    with pytest.raises(OutputError, match=r"holds a result of another slide.*--overwrite"):
        predict_slide(slide, out, settings(model_path))
    shutil.copy(slide_path, slide)  # the slide is put back
    assert predict_slide(slide, out, settings(model_path)).status == Status.FINISHED


def test_regions_of_a_slide_whose_time_was_set_back_are_all_done_again(
    slide_path: Path, model_path: Path, tmp_path: Path
) -> None:
    slide, out = Path(shutil.copy(slide_path, tmp_path / "s.tiff")), tmp_path / "out"
    content, written = slide.read_bytes(), slide.stat().st_mtime_ns

    def write(content: bytes) -> None:
        (tmp_path / "other.tiff").write_bytes(content)
        os.utime(tmp_path / "other.tiff", ns=(written, written))
        (tmp_path / "other.tiff").replace(slide)  # in one step: no region meets another time

    class Change(Recorder):
        def advance(self, megapixels: float) -> None:
            super().advance(megapixels)
            if self.regions == 3:
                middle = len(content) // 2
                write(content[:middle] + bytes(100) + content[middle + 100 :])

    with pytest.raises(SlideError, match=r"s\.tiff: was changed while the slide was read"):
        predict_slide(slide, out, settings(model_path), Change())
    assert not (out / "slide.ome.zarr").exists()
    write(content)
    heard = Recorder()
    predict_slide(slide, out, settings(model_path), heard)
    assert heard.regions == 24
