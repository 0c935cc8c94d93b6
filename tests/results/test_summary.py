"""The summary of a result, as it is written and as it is read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wsi_seg.errors import OutputError
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.summary import Status, read_summary
from wsi_seg.settings import PredictSettings, RunSettings


@pytest.fixture(scope="module")
def summary(slide_path: Path, model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    predict_slide(slide_path, out, PredictSettings(model=str(model_path), run=RunSettings(workers=1)))
    return out / "summary.json"


@pytest.mark.parametrize(
    ("written", "status"),
    [
        ("finished", Status.FINISHED),
        ("finished: nothing but background was found", Status.NOTHING_FOUND),
        ("finished, with unreadable parts left unprocessed", Status.PARTLY_UNREADABLE),
    ],
)
def test_a_summary_of_any_version_says_how_its_run_ended(
    summary: Path, tmp_path: Path, written: str, status: Status
) -> None:
    path = tmp_path / "summary.json"
    path.write_text(json.dumps({**json.loads(summary.read_text()), "status": written}))
    read = read_summary(path)
    assert read.status is status
    read.write(path, tmp_path / "summary.csv")
    assert json.loads(path.read_text())["status"] == written


def test_a_status_that_there_is_not_is_no_summary(summary: Path, tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text(json.dumps({**json.loads(summary.read_text()), "status": "well enough"}))
    with pytest.raises(OutputError, match=r"summary\.json"):
        read_summary(path)
