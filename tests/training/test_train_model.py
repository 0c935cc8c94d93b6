"""Whole trainings: they learn, and say where they come from."""

from __future__ import annotations

import csv
import json
import logging
import os
import signal
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_tiff
from helpers.networks import CONVOLUTIONS, provenance_of
from helpers.pictures import save
from helpers.results import labels_of
from helpers.trainings import (
    FEW,
    NAMES,
    SCHEMA,
    Pair,
    StoppedError,
    Stopping,
    requested,
    striped,
    tiny_recipe,
    write_outlined,
    write_tiles,
)

from wsi_seg.errors import ModelError, OutputError, TrainingError, UsageError
from wsi_seg.models.bundle import load_bundle
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.progress import TrainingProgress
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings
from wsi_seg.training.data.open_data import DataRequest
from wsi_seg.training.engine.history import CSV
from wsi_seg.training.request import TrainRequest
from wsi_seg.training.train_model import Trained, train


class Listening(TrainingProgress):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.validated = ""
        self.scored: list[tuple[int, int, str]] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def begin(self, stage: int, stages: int, validated: str = "") -> None:
        self.validated = validated

    def score(self, done: int, count: int, unit: str) -> None:
        self.scored.append((done, count, unit))


@pytest.fixture(scope="module")
def trained(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Path, Listening]:
    torch.set_num_threads(1)
    out, listener = tmp_path_factory.mktemp("trained") / "stripes", Listening()
    request = TrainRequest(DataRequest(pair, working_mpp=2), tiny_recipe("training.epochs=3"), out)
    return train(replace(request, command="wsi-seg train it"), listener), out, listener


def test_it_learns_what_is_plain_to_see(trained: tuple[Trained, Path, Listening]) -> None:
    result, out, listener = trained
    assert result.confusion.mean_iou > 0.9
    assert result.confusion.counts.sum() > 20_000
    assert result.model == out / "model.safetensors"
    assert "training patches stay 64 px away" in listener.said[0]
    assert listener.said[1].startswith("ESPNet (p = 1, q = 1, ")
    assert "parameters, " in listener.said[1]


def test_scores_say_what_they_are_of(
    trained: tuple[Trained, Path, Listening], pair: Pair, tmp_path: Path
) -> None:
    result, _, listener = trained
    count = listener.scored[-1][0]
    assert listener.scored == [(done, count, "tiles") for done in range(count + 1)]
    assert count > 1
    assert listener.validated == f"{count} tiles kept out"
    assert result.scored == f"all {count} tiles kept out"
    seen = train(requested(pair, tmp_path / "seen", "data.validation=none"))
    assert seen.scored.endswith(" tiles trained on")


def test_the_model_says_where_it_comes_from(trained: tuple[Trained, Path, Listening]) -> None:
    result, out, _ = trained
    bundle = load_bundle(result.model)
    assert bundle.name == "stripes"
    assert [c.name for c in bundle.schema.classes] == ["Stroma", "Tumour"]
    assert bundle.input.mpp == 2
    colours = np.array([c.color for c in SCHEMA.classes[:2]])
    np.testing.assert_allclose(bundle.input.mean, colours.mean(axis=0), atol=8)
    provenance = provenance_of(bundle)
    assert provenance["command"] == "wsi-seg train it"
    assert provenance["scores"]["mean_iou"] == pytest.approx(result.confusion.mean_iou, abs=1e-4)
    assert provenance["recipe"]["training"]["epochs"] == 3
    assert provenance["data"]["sources"] == ["slide"]
    assert "no pixel that is kept out is trained on" in provenance["split"]
    report = json.loads(result.report.with_suffix(".json").read_text())
    assert report["scores"]["mean_iou"] == pytest.approx(result.confusion.mean_iou)
    assert [row["step"] for row in report["history"]] == [10, 20, 20, 30, 40, 40, 50, 60, 60]
    assert {p.name for p in out.iterdir()} == {".wsi-seg", "logs", "report", "model.safetensors"}


def test_logs_hold_the_history(trained: tuple[Trained, Path, Listening]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result, out, _ = trained
    history = json.loads(result.report.with_suffix(".json").read_text())["history"]
    with (out / "logs" / "1-full" / CSV).open() as file:
        rows = list(csv.DictReader(file))
    as_read = [{name: float(v) if v else None for name, v in row.items()} for row in rows]
    assert as_read == [{name: v if v is None else float(v) for name, v in row.items()} for row in history]
    events = EventAccumulator(str(out / "logs" / "1-full"))
    events.Reload()
    assert [e.step for e in events.Scalars("val_miou")] == [20, 40, 60]
    losses = [row["train_loss"] for row in history if row["train_loss"] is not None]
    assert [e.value for e in events.Scalars("train_loss")] == pytest.approx(losses)


def test_predict_takes_the_model(
    trained: tuple[Trained, Path, Listening], pair: Pair, tmp_path: Path
) -> None:
    result, _, _ = trained
    settings = PredictSettings(
        model=str(result.model), labels=LabelSettings(region_cores=1), run=RunSettings(workers=1)
    )
    predict_slide(pair[0], tmp_path / "slide", settings)
    labels = labels_of(tmp_path / "slide")
    ids = np.array(load_bundle(result.model).schema.ids)
    _, truth = striped(*labels.shape)
    assert (labels == ids[truth]).mean() > 0.95


def state_of_the_process() -> dict[str, object]:
    """What a training could leave changed for whatever follows it in the same process."""
    with ThreadPoolExecutor(1) as thread:
        cores = thread.submit(torch.get_num_threads).result()
    return {
        "threads": (torch.get_num_threads(), cores),
        "float32": (CONVOLUTIONS.fp32_precision, torch.get_float32_matmul_precision()),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "smallest number": (torch.tensor(1e-40) * 1).item(),
        "random numbers": torch.random.get_rng_state().tolist(),
        "loggers": {name: logging.getLogger(name).level for name in ("", "lightning.pytorch", "torch")},
        "warnings": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "environment": dict(os.environ),
    }


def test_a_folder_that_cannot_be_written_is_named_before_data_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsi_seg.files.files.os.access", lambda *_: False)
    request = TrainRequest(
        data=DataRequest(paths=(tmp_path / "none.svs", tmp_path / "none.geojson")),
        recipe=tiny_recipe(),
        out=tmp_path / "out",
        device="cpu",
    )
    with pytest.raises(OutputError, match=rf"^{tmp_path}: cannot be written"):
        train(request)
    assert not (tmp_path / "out").exists()


def test_the_process_is_left_as_it_was(pair: Pair, tmp_path: Path) -> None:
    torch.set_num_threads(2)
    before = state_of_the_process()
    train(requested(pair, tmp_path / "out", "training.batch_parts=2"))
    assert state_of_the_process() == before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("part")]


def write_schema(path: Path, names: tuple[str, ...]) -> Path:
    lines = [f"  - {{id: {i}, name: {name}, color: [{i}, 0, 0]}}" for i, name in enumerate(names)]
    path.write_text("\n".join(["name: mine", "classes:", *lines]) + "\n")
    return path


@pytest.mark.slow
def test_a_class_without_pixels_is_told_and_passed_over(pair: Pair, tmp_path: Path) -> None:
    schema = write_schema(tmp_path / "mine.yaml", NAMES)
    listener = Listening()
    result = train(requested(pair, tmp_path / "out", f"data.classes={schema}"), listener)
    assert "Nerve: no pixels to train on, so not learned" in listener.said
    assert result.confusion.counts.sum(axis=1)[2] == 0
    scores = provenance_of(load_bundle(result.model))["scores"]["iou"]
    assert scores["Stroma"] > 0
    assert not scores["Nerve"]  # none, or nothing where it is still predicted somewhere


@pytest.mark.slow
def test_finer_training_keeps_what_fits(trained: tuple[Trained, Path, Listening], tmp_path: Path) -> None:
    pair = write_outlined(tmp_path, classes=3)
    listener = Listening()
    init = str(trained[0].model)
    request = requested(pair, tmp_path / "out", "training.epochs=4", init=init)
    result = train(request, listener)
    (told,) = [line for line in listener.said if line.startswith("from stripes: ")]
    assert "113 of 114 tensors kept, classes of the same name in decoder.level1_up.weight" in told
    bundle, earlier = load_bundle(result.model), load_bundle(trained[0].model)
    assert bundle.input == earlier.input
    assert len(bundle.schema) == 3
    assert provenance_of(bundle)["data"]["started from"] == init


def test_a_model_to_start_from_must_fit(
    trained: tuple[Trained, Path, Listening], pair: Pair, tmp_path: Path
) -> None:
    init = str(trained[0].model)
    with pytest.raises(TrainingError, match=r"model\.safetensors: no layer fits this network"):
        train(requested(pair, tmp_path / "a", "model.name=biopsy", init=init))
    damaged = tmp_path / "damaged.safetensors"
    content = bytearray(trained[0].model.read_bytes())
    content[-100] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(ModelError, match="damaged model file"):
        train(requested(pair, tmp_path / "b", init=str(damaged)))


@pytest.mark.slow
def test_tiles_with_masks(tmp_path: Path) -> None:
    folder = write_tiles(tmp_path / "tiles", size=(256, 192))
    recipe = tiny_recipe("training.epochs=2", "training.epoch_steps=20")
    result = train(TrainRequest(DataRequest((folder,)), recipe, tmp_path / "out"))
    assert result.confusion.mean_iou > 0.9
    assert load_bundle(result.model).input.size is None


def test_what_the_device_cannot_do_is_refused_at_once(pair: Pair, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"training\.precision=float16 needs a GPU"):
        train(requested(pair, tmp_path / "out", "training.precision=float16"))
    assert not (tmp_path / "out").exists()


def test_other_settings_do_not_resume(pair: Pair, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        train(requested(pair, tmp_path), Stopping(2))
    with pytest.raises(OutputError, match="holds a training with another recipe"):
        train(requested(pair, tmp_path, "training.epochs=3", resume=True))
    with pytest.raises(OutputError, match="unfinished training: continue with --resume"):
        train(requested(pair, tmp_path))
    with pytest.raises(StoppedError):  # but these decide nothing that is learned
        train(requested(pair, tmp_path, "data.cache_mb=128", "training.workers=0", resume=True), Stopping(1))


def test_another_slide_at_the_path_is_another_training(tmp_path: Path) -> None:
    pair, out = write_outlined(tmp_path), tmp_path / "out"
    with pytest.raises(StoppedError):
        train(requested(pair, out), Stopping(2))
    first = pair[0].read_bytes()
    rgb, _ = striped(512, 768, seed=2)  # the same stripes in other noise: outlines and counts fit
    write_tiff(pair[0], rgb)
    with pytest.raises(OutputError, match="holds a training with another content of slides, images and outl"):
        train(requested(pair, out, resume=True))
    pair[0].write_bytes(first)
    train(requested(pair, out, resume=True))
    write_tiff(pair[0], rgb)
    with pytest.raises(OutputError, match="this training is finished with another content of slides"):
        train(requested(pair, out))


def test_another_image_in_a_data_set_is_another_training(tmp_path: Path) -> None:
    tiles = write_tiles(tmp_path / "tiles")
    request = TrainRequest(DataRequest((tiles,)), tiny_recipe(*FEW), tmp_path / "out")
    with pytest.raises(StoppedError):
        train(request, Stopping(2))
    save(tiles / "images" / "3.png", striped(128, 192, seed=5)[0])
    with pytest.raises(OutputError, match="holds a training with another content of slides, images and outl"):
        train(replace(request, resume=True))
