"""Runs that fail, are stopped, or whose files are replaced under way: each ends in a line, and goes on."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import tissue_rgb, write_tiff
from helpers.predictions import SMALL, settings
from helpers.results import Recorder, features_of, fingerprints, labels_of

from wsi_seg.errors import (
    KernelsError,
    OutputError,
    SchedulerError,
    SlideError,
)
from wsi_seg.inference.fast.library import has_amx
from wsi_seg.inference.network import choice as network
from wsi_seg.predict import predict_slide as predict
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.pyramid import PyramidWriter
from wsi_seg.results.summary import Status
from wsi_seg.settings import ExportSettings
from wsi_seg.slides.tissue import TissueMask


def test_a_run_that_fails_early_ends_at_once(
    slide_path: Path, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Polygons wait for regions that never come; the run tells what stopped it, not that."""

    def fail(*_: object) -> None:
        raise SchedulerError("tcp://somewhere: the connection was lost")

    with monkeypatch.context() as patched:
        patched.setattr("wsi_seg.predict.predict_slide.run_regions", fail)
        with pytest.raises(SchedulerError, match="connection was lost"):
            predict_slide(slide_path, tmp_path / "out", settings(model_path))
    assert not (tmp_path / "out" / "slide.geojson.gz").exists()
    predict_slide(slide_path, tmp_path / "out", settings(model_path))
    assert features_of(tmp_path / "out")


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

    monkeypatch.setattr(network, "has_amx", lambda: False)
    by_itself = predict_slide(slide_path, tmp_path / "compiled", settings(model_path))
    assert by_itself.network == "compiled: for this processor"
    assert (labels_of(tmp_path / "compiled") == labels_of(out)).mean() >= 0.9999
    with pytest.raises(
        OutputError, match=r"the compiled network, not the plain one \(--compile\): .*--overwrite"
    ):
        predict_slide(slide_path, tmp_path / "compiled", settings(model_path, plain))


@pytest.mark.usefixtures("kernels")
def test_amx_neither_takes_over_a_run_nor_leaves_one(
    slide_path: Path, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(Recorder):
        def advance(self, megapixels: float) -> None:
            raise KeyboardInterrupt

    if not has_amx():
        pytest.skip("this processor has no AMX")
    vectors, amx = tmp_path / "vectors", tmp_path / "amx"
    with monkeypatch.context() as without:
        without.setattr(network, "has_amx", lambda: False)
        with pytest.raises(KeyboardInterrupt):
            predict_slide(slide_path, vectors, settings(model_path), Stop())
    going_on = predict_slide(slide_path, vectors, settings(model_path))
    assert going_on.network == "compiled: as at the start of the run"

    with pytest.raises(KeyboardInterrupt):
        predict_slide(slide_path, amx, settings(model_path), Stop())
    with monkeypatch.context() as without:
        without.setattr(network, "has_amx", lambda: False)
        with pytest.raises(OutputError, match=r"the amx network, not the compiled one \(--compile\)"):
            predict_slide(slide_path, amx, settings(model_path))
    assert predict_slide(slide_path, amx, settings(model_path)).network.startswith("amx: ")
    assert (labels_of(amx) == labels_of(vectors)).mean() >= 0.9999


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

    def build_levels(writer: PyramidWriter, *given: Any) -> dict[str, str]:
        built = levels(writer, *given)
        if moment == "pyramid":
            replace()
        return built

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
