"""Whole trainings: they learn, say where they come from, and end in one line when something goes wrong."""

from __future__ import annotations

import csv
import json
import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import damage_tile, write_tiff
from helpers.pictures import save
from helpers.results import labels_of
from helpers.trainings import (
    NAMES,
    SCHEMA,
    StoppedError,
    Stopping,
    striped,
    tiny_recipe,
    write_outlined,
    write_tiles,
)
from safetensors.torch import load_file

from wsi_seg.data.annotated_slides import _opened
from wsi_seg.errors import DeviceError, ModelError, OutputError, SlideError, TrainingError, UsageError
from wsi_seg.models.bundle import load_bundle
from wsi_seg.predict.run import predict_slide
from wsi_seg.progress import TrainingProgress
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings
from wsi_seg.training import run
from wsi_seg.training.data.gathering import DataRequest
from wsi_seg.training.engine import checkpoints
from wsi_seg.training.engine.history import CSV
from wsi_seg.training.engine.module import SegmentationModule
from wsi_seg.training.recipe import Recipe
from wsi_seg.training.request import TrainRequest
from wsi_seg.training.run import Trained, train

FEW = ("training.epochs=2", "training.epoch_steps=5")
HEARD = 12
"""How often a listener hears of a training of these: after ten steps and two validations."""


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
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_outlined(tmp_path_factory.mktemp("outlined"))


@pytest.fixture(scope="module")
def trained(
    pair: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Trained, Path, Listening]:
    torch.set_num_threads(1)
    out, listener = tmp_path_factory.mktemp("trained") / "stripes", Listening()
    request = TrainRequest(DataRequest(pair, working_mpp=2), tiny_recipe("training.epochs=3"), out)
    return train(replace(request, command="wsi-seg train it"), listener), out, listener


def requested(pair: tuple[Path, Path], out: Path, *settings: str, **more: object) -> TrainRequest:
    recipe: Recipe = tiny_recipe(*FEW, *settings)
    return replace(TrainRequest(DataRequest(pair, working_mpp=2), recipe, out), **more)


def test_it_learns_what_is_plain_to_see(trained: tuple[Trained, Path, Listening]):
    result, out, listener = trained
    assert result.confusion.mean_iou > 0.9
    assert result.confusion.counts.sum() > 20_000
    assert result.model == out / "model.safetensors"
    assert "no training patch comes nearer" in listener.said[0]
    assert listener.said[1].startswith("ESPNet (p = 1, q = 1, ")
    assert "parameters, " in listener.said[1]


def test_scores_say_what_they_are_of(trained: tuple[Trained, Path, Listening], pair, tmp_path: Path):
    result, _, listener = trained
    count = listener.scored[-1][0]
    assert listener.scored == [(done, count, "tiles") for done in range(count + 1)]
    assert count > 1
    assert listener.validated == f"{count} tiles kept out"
    assert result.scored == f"all {count} tiles kept out"
    seen = train(requested(pair, tmp_path / "seen", "data.validation=none"))
    assert seen.scored.endswith(" tiles trained on")


def test_the_model_says_where_it_comes_from(trained: tuple[Trained, Path, Listening]):
    result, out, _ = trained
    bundle = load_bundle(result.model)
    assert bundle.name == "stripes"
    assert [c.name for c in bundle.schema.classes] == ["Stroma", "Tumour"]
    assert bundle.input.mpp == 2
    colours = np.array([c.color for c in SCHEMA.classes[:2]])
    np.testing.assert_allclose(bundle.input.mean, colours.mean(axis=0), atol=8)
    assert bundle.training["command"] == "wsi-seg train it"
    assert bundle.training["scores"]["mean_iou"] == pytest.approx(result.confusion.mean_iou, abs=1e-4)
    assert bundle.training["recipe"]["training"]["epochs"] == 3
    assert bundle.training["data"]["sources"] == ["slide"]
    assert "no pixel of theirs is trained on" in bundle.training["split"]
    report = json.loads(result.report.with_suffix(".json").read_text())
    assert report["scores"]["mean_iou"] == pytest.approx(result.confusion.mean_iou)
    assert [row["step"] for row in report["history"]] == [10, 20, 20, 30, 40, 40, 50, 60, 60]
    assert {p.name for p in out.iterdir()} == {".wsi-seg", "logs", "report", "model.safetensors"}


def test_logs_hold_the_history(trained: tuple[Trained, Path, Listening]):
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


def test_predict_takes_the_model(trained: tuple[Trained, Path, Listening], pair: tuple[Path, Path], tmp_path):
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
        "float32": (torch.backends.cudnn.conv.fp32_precision, torch.get_float32_matmul_precision()),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "smallest number": (torch.tensor(1e-40) * 1).item(),
        "random numbers": torch.random.get_rng_state().tolist(),
        "loggers": {name: logging.getLogger(name).level for name in ("", "lightning.pytorch", "torch")},
        "warnings": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "environment": dict(os.environ),
    }


def test_a_folder_that_cannot_be_written_is_named_before_data_are_read(tmp_path: Path, monkeypatch) -> None:
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


def test_the_process_is_left_as_it_was(pair: tuple[Path, Path], tmp_path: Path):
    torch.set_num_threads(2)
    before = state_of_the_process()
    train(requested(pair, tmp_path / "out", "training.batch_parts=2"))
    assert state_of_the_process() == before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("part")]


def rows_of(out: Path) -> list[dict[str, float | None]]:
    """The history without what the clock says."""
    history = json.loads((out / "report" / "report.json").read_text())["history"]
    return [{name: v for name, v in row.items() if name != "seconds"} for row in history]


def assert_same(out: Path, other: Path) -> None:
    """The same weights to the bit, and the same history."""
    weights, others = load_file(out / "model.safetensors"), load_file(other / "model.safetensors")
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert rows_of(out) == rows_of(other)


@pytest.fixture(scope="module")
def undisturbed(pair: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("undisturbed")
    train(requested(pair, out))
    return out


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0, 30])
@pytest.mark.parametrize("after", [1, 3, 5, 6, 7, 11, HEARD])
def test_broken_off_after_a_step_or_validation_it_goes_on_to_the_same_weights(
    pair, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, seconds: int
):
    """With a state saved at each step, and only because it was broken off."""
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", seconds)
    request = requested(pair, tmp_path)
    with pytest.raises(StoppedError):
        train(request, Stopping(after))
    train(replace(request, resume=True))
    assert_same(tmp_path, undisturbed)


def interrupt(patch: pytest.MonkeyPatch, hook: str, at: int, act: Callable[[], None]) -> None:
    """Do something at the n-th call of a hook of the module, after its work."""
    original, calls = getattr(SegmentationModule, hook), [0]

    def hooked(self: SegmentationModule, *args: object) -> object:
        result = original(self, *args)
        calls[0] += 1
        if calls[0] == at:
            act()
        return result

    patch.setattr(SegmentationModule, hook, hooked)


def press_ctrl_c() -> None:
    raise KeyboardInterrupt


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hook", "at", "act"),
    [
        ("training_step", 1, press_ctrl_c),
        ("training_step", 4, press_ctrl_c),
        ("training_step", 6, press_ctrl_c),
        ("training_step", 10, press_ctrl_c),
        ("optimizer_step", 4, press_ctrl_c),
        ("validation_step", 1, press_ctrl_c),
        ("training_step", 7, terminate),
        ("training_step", 5, terminate),
    ],
)
def test_interrupted_in_the_middle_it_goes_on_to_the_same_weights(
    pair, undisturbed: Path, tmp_path: Path, hook: str, at: int, act: Callable[[], None]
):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    request = requested(pair, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, hook, at, act)
        with pytest.raises(KeyboardInterrupt):
            train(request)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    train(replace(request, resume=True))
    assert_same(tmp_path, undisturbed)


@pytest.mark.slow
def test_broken_off_time_and_again_in_two_stages(pair, tmp_path: Path):
    stages = ("training.stages=[encoder, full]", "loss.class_weights=log", "loss.dice=0.5")
    train(requested(pair, tmp_path / "a", *stages))
    request = requested(pair, tmp_path / "b", *stages, resume=True)
    breaks = 0
    for after in (3, 9, 2, 4, 8, 5):
        with pytest.raises(StoppedError):
            train(request, Stopping(after))
        breaks += 1
    assert breaks == 6
    train(request)
    assert_same(tmp_path / "a", tmp_path / "b")


@pytest.mark.slow
def test_killed_while_it_scores_it_is_not_trained_again(
    pair, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    request = requested(pair, tmp_path)

    def killed(*_: object) -> None:
        raise StoppedError

    def no_step(*_: object) -> None:
        raise AssertionError("trained again")

    with monkeypatch.context() as patch:
        patch.setattr(run, "score", killed)
        with pytest.raises(StoppedError):
            train(request)
    monkeypatch.setattr(SegmentationModule, "training_step", no_step)
    train(replace(request, resume=True))
    assert_same(tmp_path, undisturbed)


@pytest.mark.slow
def test_a_stage_bounded_in_time_is_resumed_with_the_time_that_is_left(pair, tmp_path: Path):
    request = requested(pair, tmp_path, "training.minutes=0.08", "training.validations=2")
    with pytest.raises(StoppedError):
        train(request, Stopping(8))
    result = train(replace(request, resume=True))
    assert result.seconds == pytest.approx(4.8, abs=2.5)
    rows = json.loads(result.report.with_suffix(".json").read_text())["history"]
    assert [row["step"] for row in rows] == sorted(row["step"] for row in rows)
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)
    assert sum(row["val_miou"] is not None for row in rows) == 2
    assert rows[-1]["learning_rate"] == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_the_best_weights_are_kept_where_it_may_stop_early(tmp_path: Path):
    """At such a rate it gets worse soon."""
    settings = (
        "training.epochs=12",
        "training.epoch_steps=4",
        "training.early_stop=2",
        "optimiser.learning_rate=0.05",
    )
    pair, out = write_outlined(tmp_path, size=(1024, 768)), tmp_path / "out"  # with enough kept out to tell
    result = train(requested(pair, out, *settings, "training.averaging=null"))
    scores = [row["val_miou"] for row in rows_of(out) if row["val_miou"] is not None]
    best = max(scores)
    assert len(scores) == min(12, scores.index(best) + 3)
    assert result.confusion.mean_iou == pytest.approx(best, abs=0.02)


def test_a_loss_that_is_no_number_ends_it(pair, tmp_path: Path):
    request = requested(pair, tmp_path, "optimiser.learning_rate=1e30", "optimiser.clip_norm=null")
    with pytest.raises(
        TrainingError, match=r"the loss is nan by step \d+: start again .*learning_rate=2\.5e\+29"
    ):
        train(request)


def test_too_little_memory_on_the_device_is_one_line(pair, tmp_path: Path, monkeypatch):
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(SegmentationModule, "training_step", full)
    with pytest.raises(DeviceError, match=r"cpu: out of memory: give a smaller --set training\.batch_size"):
        train(requested(pair, tmp_path))


class Vanishing(TrainingProgress):
    """Removes a slide in mid-training."""

    def __init__(self, slide: Path) -> None:
        self.slide = slide

    def advance(self, share: float, seconds: float, loss: float | None, miou: float | None) -> None:
        self.slide.unlink(missing_ok=True)
        _opened.cache_clear()


def test_a_slide_that_vanishes_is_one_line(tmp_path: Path):
    pair = write_outlined(tmp_path)
    request = requested(pair, tmp_path / "out", "data.cache_mb=0")
    with pytest.raises(SlideError, match=r"slide\.tiff: no such file") as error:
        train(request, Vanishing(pair[0]))
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_slide_that_vanishes_for_a_reading_process_is_one_line(tmp_path: Path):
    pair = write_outlined(tmp_path, size=(4096, 3072))  # more than OpenSlide keeps in memory
    request = requested(
        pair, tmp_path / "out", "data.cache_mb=0", "training.workers=1", "training.epoch_steps=200"
    )

    class Replacing(TrainingProgress):
        """A slide that cannot be read any more, as on a drive that went away."""

        def advance(self, share: float, seconds: float, loss: float | None, miou: float | None) -> None:
            with pair[0].open("r+b") as file:
                file.truncate(100)

    with pytest.raises(SlideError) as error:
        train(request, Replacing())
    assert "\n" not in str(error.value)
    assert "Traceback" not in str(error.value)
    assert "slide.tiff" in str(error.value)


@pytest.mark.slow
def test_reading_processes_change_nothing_and_neither_does_a_break(pair, undisturbed: Path, tmp_path: Path):
    request = requested(pair, tmp_path, "training.workers=2")
    with pytest.raises(StoppedError):
        train(request, Stopping(6))
    train(replace(request, resume=True))
    assert_same(tmp_path, undisturbed)


@pytest.mark.slow
def test_tiles_that_cannot_be_decoded_are_unknown(pair, undisturbed: Path, tmp_path: Path):
    slide, outlines = write_outlined(tmp_path)
    for tile in (0, 3, 8, 20):  # the last of them in what is kept out
        damage_tile(slide, tile)
    result = train(requested((slide, outlines), tmp_path / "out"))
    intact = json.loads((undisturbed / "report" / "report.json").read_text())["confusion"]
    assert 0 < result.confusion.counts.sum() < np.sum(intact)


def write_schema(path: Path, names: tuple[str, ...]) -> Path:
    lines = [f"  - {{id: {i}, name: {name}, color: [{i}, 0, 0]}}" for i, name in enumerate(names)]
    path.write_text("\n".join(["name: mine", "classes:", *lines]) + "\n")
    return path


@pytest.mark.slow
def test_a_class_without_pixels_is_told_and_passed_over(pair, tmp_path: Path):
    schema = write_schema(tmp_path / "mine.yaml", NAMES)
    listener = Listening()
    result = train(requested(pair, tmp_path / "out", f"data.classes={schema}"), listener)
    assert "Nerve: no pixels to train on, so not learned" in listener.said
    assert result.confusion.counts.sum(axis=1)[2] == 0
    scores = load_bundle(result.model).training["scores"]["iou"]
    assert scores["Stroma"] > 0
    assert not scores["Nerve"]  # none, or nothing where it is still predicted somewhere


@pytest.mark.slow
def test_finer_training_keeps_what_fits(trained: tuple[Trained, Path, Listening], tmp_path: Path):
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
    assert bundle.training["data"]["started from"] == init


def test_a_model_to_start_from_must_fit(trained: tuple[Trained, Path, Listening], pair, tmp_path: Path):
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
def test_tiles_with_masks(tmp_path: Path):
    folder = write_tiles(tmp_path / "tiles", size=(256, 192))
    recipe = tiny_recipe("training.epochs=2", "training.epoch_steps=20")
    result = train(TrainRequest(DataRequest((folder,)), recipe, tmp_path / "out"))
    assert result.confusion.mean_iou > 0.9
    assert load_bundle(result.model).input.size is None


@pytest.mark.slow
def test_whole_images_in_two_stages(tmp_path: Path):
    folder = write_tiles(tmp_path / "tiles", classes=3)
    recipe = tiny_recipe(
        "data.sampling=whole",
        "data.sizes=[[192, 128], [96, 64]]",
        "augment.quarter_turns=false",
        "training.stages=[encoder, full]",
        "training.epochs=15",
        "training.averaging=null",
    )
    result = train(TrainRequest(DataRequest((folder,)), recipe, tmp_path / "out"))
    assert result.confusion.mean_iou > 0.9
    bundle = load_bundle(result.model)
    assert bundle.input.size == (192, 128)
    assert bundle.architecture.config.variant == "full"
    steps = [row["step"] for row in rows_of(tmp_path / "out")]
    assert steps == sorted(steps)
    assert steps[-1] == 2 * 15 * 2 * 2


@pytest.mark.slow
def test_seeds_decide(pair, undisturbed: Path, tmp_path: Path):
    train(requested(pair, tmp_path / "same"))
    assert_same(tmp_path / "same", undisturbed)
    train(requested(pair, tmp_path / "other", "training.seed=1"))
    assert rows_of(tmp_path / "other") != rows_of(undisturbed)


def test_what_the_device_cannot_do_is_refused_at_once(pair, tmp_path: Path):
    with pytest.raises(UsageError, match=r"training\.precision=float16 needs a GPU"):
        train(requested(pair, tmp_path / "out", "training.precision=float16"))
    assert not (tmp_path / "out").exists()


def test_other_settings_do_not_resume(pair, tmp_path: Path):
    with pytest.raises(StoppedError):
        train(requested(pair, tmp_path), Stopping(2))
    with pytest.raises(OutputError, match="holds a training with another recipe"):
        train(requested(pair, tmp_path, "training.epochs=3", resume=True))
    with pytest.raises(OutputError, match="unfinished training: continue with --resume"):
        train(requested(pair, tmp_path))
    with pytest.raises(StoppedError):  # but these decide nothing that is learned
        train(requested(pair, tmp_path, "data.cache_mb=128", "training.workers=0", resume=True), Stopping(1))


def test_another_slide_at_the_path_is_another_training(tmp_path: Path):
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


def test_another_image_in_a_data_set_is_another_training(tmp_path: Path):
    tiles = write_tiles(tmp_path / "tiles")
    request = TrainRequest(DataRequest((tiles,)), tiny_recipe(*FEW), tmp_path / "out")
    with pytest.raises(StoppedError):
        train(request, Stopping(2))
    save(tiles / "images" / "3.png", striped(128, 192, seed=5)[0])
    with pytest.raises(OutputError, match="holds a training with another content of slides, images and outl"):
        train(replace(request, resume=True))
