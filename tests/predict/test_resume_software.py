"""Labels of two versions of a library are not mixed in one result."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers.results import Recorder, fingerprints

from wsi_seg.errors import OutputError
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.folder import ResultFolder
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings


class StopAtFirst(Recorder):
    """Kills the run, as it were, with its first region."""

    def advance(self, megapixels: float) -> None:
        super().advance(megapixels)
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def settings(model_path: Path) -> PredictSettings:
    labels = LabelSettings(patch=192, overlap=64, region_cores=2)
    return PredictSettings(model=str(model_path), labels=labels, run=RunSettings(workers=1))


@pytest.fixture(scope="module")
def unfinished(slide_path: Path, settings: PredictSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unfinished") / "tissue"
    with pytest.raises(KeyboardInterrupt):
        predict_slide(slide_path, out, settings, StopAtFirst())
    return out


def begun_with(out: Path, **versions: str) -> ResultFolder:
    """Make a record say that its run was begun with other versions."""
    result = ResultFolder(out)
    record = result.read_record()
    assert record is not None
    assert record.software is not None
    assert {"torch", "openslide", "simplejpeg", "imagecodecs"} == record.software.keys()
    result.write_record(record.model_copy(update={"software": record.software | versions}))
    return result


def test_a_half_finished_result_is_not_continued_with_another_version(
    unfinished: Path, slide_path: Path, settings: PredictSettings, tmp_path: Path
) -> None:
    out = tmp_path / "tissue"
    shutil.copytree(unfinished, out)
    begun_with(out, onnxruntime="1.2.3")
    with pytest.raises(
        OutputError, match=r"tissue: was started with other software: onnxruntime \(1.2.3 then, None now\)"
    ):
        predict_slide(slide_path, out, settings)
    begun_with(unfinished, torch="0.4")
    with pytest.raises(OutputError, match=r"torch \(0.4 then, .* now\): install that again, use another -o"):
        predict_slide(slide_path, unfinished, settings)


def test_without_a_finished_region_and_with_all_finished_it_does_not_matter(
    unfinished: Path, slide_path: Path, settings: PredictSettings, tmp_path: Path
) -> None:
    out, heard = tmp_path / "tissue", Recorder()
    shutil.copytree(unfinished, out)
    result = begun_with(out, torch="0.4")
    shutil.rmtree(result.ledger)
    predict_slide(slide_path, out, settings, heard)
    assert heard.regions == 6
    record = result.read_record()
    assert record is not None
    assert record.software is not None
    assert record.software["torch"] != "0.4"
    before = fingerprints(out)
    begun_with(out, torch="0.4")
    heard = Recorder()
    predict_slide(slide_path, out, settings, heard)
    assert heard.regions == 0
    assert fingerprints(out) == before
