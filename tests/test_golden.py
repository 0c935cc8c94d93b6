"""Results, models and trainings of earlier versions open, and go on: see golden/README.md."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.results import Recorder, labels_of

from wsi_seg.data.cut_tiles import read_about
from wsi_seg.errors import OutputError
from wsi_seg.evaluation.on_results import evaluate_results
from wsi_seg.files.document import Document, NewerError
from wsi_seg.inference.stream.ledger import Ledger
from wsi_seg.inference.stream.software import Software
from wsi_seg.models.bundle import load_bundle
from wsi_seg.predict.batch import BatchSummary
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.summary import read_summary
from wsi_seg.results.whole import check_result
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings

FOLDER = Path(__file__).parent / "golden"
VERSIONS = sorted(path.name for path in FOLDER.glob("*.tar.xz"))


@pytest.fixture(params=VERSIONS)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """All that a version has left, in a folder that may be written to."""
    folder = tmp_path / "golden"
    with tarfile.open(FOLDER / request.param) as packed:
        packed.extractall(folder, filter="data")
    return folder


def settings(golden: Path) -> PredictSettings:
    labels = LabelSettings(patch=128, overlap=64, region_cores=2, compile="no")
    return PredictSettings(model=str(golden / "model.safetensors"), labels=labels, run=RunSettings(workers=1))


def test_the_golden_files_are_small() -> None:
    assert len(VERSIONS) == 2
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 100_000


def test_a_finished_result_opens_and_is_checked_and_needs_nothing_done(golden: Path) -> None:
    out, heard = golden / "finished", Recorder()
    documents = {path: path.read_bytes() for path in out.rglob("*.json")}
    (lacking,) = check_result(out).damages
    assert (lacking.path.name, lacking.what) == ("overview.png", "missing")
    assert read_summary(out / "summary.json").classes[1].mm2 == pytest.approx(0.104612, abs=1e-6)
    predict_slide(golden / "slide.tiff", out, settings(golden), heard)
    assert "missing: overview.png" in heard.said
    assert heard.regions == 0
    assert check_result(out).ok
    zarr = {path for path in documents if "slide.ome.zarr" in str(path)}
    assert all(path.read_bytes() == documents[path] for path in zarr)
    predict_slide(golden / "slide.tiff", out, settings(golden), heard)
    assert heard.said[-1].startswith("already finished: nothing to do")


def test_a_run_that_was_stopped_goes_on_to_the_same_labels(golden: Path) -> None:
    out, heard = golden / "unfinished", Recorder()
    record = ResultFolder(out).read_record()
    assert record is not None
    if record.software not in (None, Software.here().recorded()):
        with pytest.raises(OutputError, match="was started with other software"):
            predict_slide(golden / "slide.tiff", out, settings(golden), heard)
        return
    shards = [golden / "finished/slide.ome.zarr/labels/tissue/0/c" / name for name in ("0/0", "0/1", "1/0")]
    predict_slide(golden / "slide.tiff", out, settings(golden), heard)
    assert "resuming: 3 of 4 regions are finished" in heard.said
    assert heard.regions == 1
    assert check_result(out).ok
    for shard in shards:
        assert (out / shard.relative_to(golden / "finished")).read_bytes() == shard.read_bytes()
    # The fourth was computed now, perhaps by another PyTorch on another processor.
    assert np.mean(labels_of(out) == labels_of(golden / "finished")) > 0.999


def test_a_result_is_evaluated_and_exported(
    golden: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation = evaluate_results([(golden / "finished", golden / "outlines.geojson")])
    assert evaluation.total.confusion.pixels == 16 * 56**2
    from wsi_seg.cli.main import main

    monkeypatch.setattr("sys.argv", ["wsi-seg", "export", str(golden / "finished"), "--simplify", "6"])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code, capsys.readouterr().err
    settings: dict[str, Any] = dict(read_summary(golden / "finished/summary.json").settings)
    assert settings["export"]["simplify_um"] == 6


def test_a_model_a_batch_and_tiles_are_read(golden: Path) -> None:
    model = load_bundle(golden / "model.safetensors")
    assert (model.name, len(model.schema)) == ("golden", 2)
    batch = BatchSummary.read(golden / "batch.json", "")
    assert (len(batch.outcomes), batch.waiting) == (1, ("/tmp/golden/other.tiff",))
    about = read_about(golden / "tiles")
    assert about is not None
    assert about.slides == {"slide": "slide.tiff"}


def test_a_training_that_was_stopped_goes_on(golden: Path) -> None:
    from wsi_seg.progress import TrainingProgress
    from wsi_seg.training.data.open_data import DataRequest
    from wsi_seg.training.recipe import Recipe, TrainingRecipe, override
    from wsi_seg.training.request import TrainRequest
    from wsi_seg.training.train_model import train

    class Listening(TrainingProgress):
        said: list[str] = []  # noqa: RUF012

        def say(self, text: str) -> None:
            self.said.append(text)

    record = golden / "training/.wsi-seg/training.json"
    record.write_text(record.read_text().replace("/tmp/golden", str(golden.resolve())))
    chosen = (golden / "recipe.txt").read_text().splitlines()
    request = TrainRequest(
        DataRequest((golden / "slide.tiff", golden / "outlines.geojson"), working_mpp=2.0),
        override(Recipe(training=TrainingRecipe(epochs=1)), chosen),
        golden / "training",
        init=str(golden / "model.safetensors"),
        device="cpu",
        resume=True,
    )
    train(request, Listening())
    assert any("resuming from the checkpoint" in line for line in Listening.said)
    report = json.loads((golden / "training/report/report.json").read_text())
    assert [row["step"] for row in report["history"]][-1] == 4
    assert load_bundle(golden / "training/model.safetensors").input.mpp == 2.0


def changed(path: Path, change: dict[str, Any]) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))


def test_a_result_of_a_newer_wsi_seg_is_refused_in_one_line(golden: Path) -> None:
    result = ResultFolder(golden / "finished")
    newer = r": written by a newer wsi-seg \(format 9, this one reads up to \d\): upgrade wsi-seg"
    changed(result.summary_json, {"format_version": 9})
    with pytest.raises(NewerError, match=r"summary\.json" + newer):
        read_summary(result.summary_json)
    changed(result.record_path, {"format_version": 9})
    with pytest.raises(NewerError, match=r"record\.json" + newer):
        predict_slide(golden / "slide.tiff", result.folder, settings(golden))
    (damage,) = check_result(result.folder).damages
    assert damage.remedy == "upgrade wsi-seg"


def test_regions_of_a_newer_wsi_seg_are_not_done_again(golden: Path) -> None:
    class Newer(Document):
        format_version: int = 9
        name: str

    Ledger(golden / "unfinished/.wsi-seg/regions").add(Newer(name="0-0"))  # type: ignore[arg-type]
    heard = Recorder()
    with pytest.raises(NewerError, match=r"0-0\.record: written by a newer wsi-seg .*: upgrade wsi-seg"):
        predict_slide(golden / "slide.tiff", golden / "unfinished", settings(golden), heard)
    assert heard.regions == 0


def test_a_record_that_is_altered_is_noticed(golden: Path) -> None:
    out, result = golden / "finished", ResultFolder(golden / "finished")
    predict_slide(golden / "slide.tiff", out, settings(golden))
    content = result.record_path.read_text()
    assert '"patches": 16' in content
    result.record_path.write_text(content.replace('"patches": 16', '"patches": 17'))
    with pytest.raises(Exception, match=r"record\.json: damaged \(altered\): copy the folder again"):
        result.read_record()
