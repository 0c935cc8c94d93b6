"""What is said at the end of a batch."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsi_seg.cli.run_jobs import Runner, run_jobs
from wsi_seg.models.bundle import load_bundle
from wsi_seg.predict.batch import Outcome
from wsi_seg.predict.jobs import Job, Jobs
from wsi_seg.progress import Progress
from wsi_seg.results.familiarity import Verdict
from wsi_seg.results.summary import Status
from wsi_seg.settings import PredictSettings


def test_unfamiliar_slides_are_named_as_elsewhere(
    model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unfamiliar(_: Runner, job: Job) -> Outcome:
        return Outcome(
            slide=str(job.path),
            result=str(job.out),
            status=Status.FINISHED,
            familiarity=Verdict.UNFAMILIAR,
        )

    monkeypatch.setattr(Runner, "run", unfamiliar)
    dicom = Job(tmp_path / "case 7" / "l0.dcm", None, tmp_path / "out" / "case 7", file_says_it=False)
    svs = Job(tmp_path / "b.svs", None, tmp_path / "out" / "b")
    runner = Runner(load_bundle(model_path), PredictSettings(model=str(model_path)), Progress(), None)
    (tmp_path / "out").mkdir()
    assert run_jobs(Jobs((dicom, svs)), tmp_path / "out" / "batch.json", runner, Progress(), quiet=False)
    assert "unfamiliar to the model, check by eye: case 7, b.svs\n" in capsys.readouterr().out
