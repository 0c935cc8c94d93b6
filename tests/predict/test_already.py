"""A finished result is known as such, without PyTorch, and only if it is what would be made now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.results import Recorder

from wsi_seg.models.described import DescribedModel, describe
from wsi_seg.predict import already
from wsi_seg.predict.already import finished_before
from wsi_seg.predict.jobs import Job
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.seals import DamagedError
from wsi_seg.results.summary import read_summary
from wsi_seg.settings import ExportSettings, LabelSettings, PredictSettings, RunSettings

RUN = """
import sys
from wsi_seg.cli.main import _run
code = _run()
assert "torch" not in sys.modules
sys.exit(code)
"""


@pytest.fixture(scope="module")
def settings(model_path: Path) -> PredictSettings:
    return PredictSettings(model=str(model_path), run=RunSettings(device="cpu"))


@pytest.fixture(scope="module")
def job(slide_path: Path, settings: PredictSettings, tmp_path_factory: pytest.TempPathFactory) -> Job:
    out = tmp_path_factory.mktemp("results") / slide_path.stem
    predict_slide(slide_path, out, settings)
    return Job(slide_path, None, out)


@pytest.fixture(scope="module")
def model(model_path: Path) -> DescribedModel:
    return describe(model_path)


def test_a_finished_result_is_known(job: Job, model: DescribedModel, settings: PredictSettings) -> None:
    heard = Recorder()

    summary = finished_before(job, model, settings, heard)

    assert summary == read_summary(ResultFolder(job.out).summary_json)
    assert heard.said == ["already finished: nothing to do (--overwrite makes it again)"]


@pytest.mark.parametrize(
    "other",
    [
        {"labels": LabelSettings(patch=512)},
        {"labels": LabelSettings(compile="no")},
        {"labels": LabelSettings(adapt=True)},
        {"export": ExportSettings(simplify_um=9)},
        {"run": RunSettings(device="cpu", overwrite=True)},
        {"run": RunSettings(device="cuda")},
        {"run": RunSettings(device="cpu", scheduler="tcp://127.0.0.1:1")},
    ],
)
def test_anything_else_is_left_to_the_run(
    other: dict[str, object], job: Job, model: DescribedModel, settings: PredictSettings
) -> None:
    heard = Recorder()

    assert finished_before(job, model, settings.model_copy(update=other), heard) is None
    assert heard.said == []


def test_a_gpu_that_may_be_there_is_left_to_pytorch(
    job: Job, model: DescribedModel, settings: PredictSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    auto = settings.model_copy(update={"run": RunSettings(device="auto")})
    for maybe in (True, False):
        monkeypatch.setattr(already, "may_have_gpu", lambda maybe=maybe: maybe)
        assert (finished_before(job, model, auto, Recorder()) is None) == maybe


def test_damage_is_refused(
    job: Job, model: DescribedModel, settings: PredictSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = ResultFolder(job.out).summary_json
    written = summary.read_bytes()
    summary.write_bytes(written.replace(b'"status"', b'"status" '))
    try:
        with pytest.raises(DamagedError, match=r"summary\.json"):
            finished_before(job, model, settings, Recorder())
    finally:
        summary.write_bytes(written)


def test_the_command_needs_no_pytorch(job: Job, settings: PredictSettings) -> None:
    command = ["predict", str(job.path), "--model", settings.model, "-o", str(job.out.parent)]

    ran = subprocess.run(
        [sys.executable, "-c", RUN, *command, "--device", "cpu"], capture_output=True, text=True, timeout=120
    )

    assert ran.returncode == 0, ran.stderr
    assert "already finished: nothing to do" in ran.stderr
    assert f"{job.name}: finished in" in ran.stdout
