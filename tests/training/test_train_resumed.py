"""Trainings broken off anywhere come to the same weights when they are resumed, stage after stage."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import damage_tile
from helpers.networks import espnet_config
from helpers.trainings import (
    HEARD,
    Pair,
    StoppedError,
    Stopping,
    assert_same,
    requested,
    rows_of,
    tiny_recipe,
    write_outlined,
    write_tiles,
)

from wsi_seg.models.bundle import load_bundle
from wsi_seg.training import train_model
from wsi_seg.training.data.open_data import DataRequest
from wsi_seg.training.engine import checkpoints
from wsi_seg.training.engine.checkpoints import SafeCheckpoints
from wsi_seg.training.engine.module import SegmentationModule
from wsi_seg.training.engine.stage_plan import FINAL
from wsi_seg.training.request import TrainRequest
from wsi_seg.training.train_model import train


@pytest.fixture(scope="module")
def undisturbed(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("undisturbed")
    train(requested(pair, out))
    return out


@pytest.mark.slow
@pytest.mark.parametrize(("after", "seconds"), [(1, 30), (5, 0), (6, 30), (7, 0), (11, 30), (HEARD, 0)])
def test_broken_off_after_a_step_or_validation_it_goes_on_to_the_same_weights(
    pair: Pair, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, seconds: int
) -> None:
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
        ("training_step", 6, press_ctrl_c),
        ("optimizer_step", 4, press_ctrl_c),
        ("validation_step", 1, press_ctrl_c),
        ("training_step", 7, terminate),
    ],
)
def test_interrupted_in_the_middle_it_goes_on_to_the_same_weights(
    pair: Pair, undisturbed: Path, tmp_path: Path, hook: str, at: int, act: Callable[[], None]
) -> None:
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
def test_broken_off_time_and_again_in_two_stages(pair: Pair, tmp_path: Path) -> None:
    stages = ("training.stages=[encoder, full]", "loss.class_weights=log", "loss.dice=0.5")
    train(requested(pair, tmp_path / "a", *stages))
    request = requested(pair, tmp_path / "b", *stages, resume=True)
    for after in (3, 9, 4, 5):
        with pytest.raises(StoppedError):
            train(request, Stopping(after))
    train(request)
    assert_same(tmp_path / "a", tmp_path / "b")


@pytest.mark.slow
def test_killed_after_its_last_step_it_keeps_the_averaged_weights(
    pair: Pair, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the state of the last step saved, and not yet the stage's final weights."""
    request = requested(pair, tmp_path)
    save = SafeCheckpoints.save_checkpoint

    def killed(
        files: SafeCheckpoints, content: dict[str, Any], path: Path, storage_options: object = None
    ) -> None:
        if Path(path).name == FINAL:
            raise StoppedError
        save(files, content, path)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0)
        patch.setattr(SafeCheckpoints, "save_checkpoint", killed)
        with pytest.raises(StoppedError):
            train(request)
    train(replace(request, resume=True))
    assert_same(tmp_path, undisturbed)


@pytest.mark.slow
def test_killed_while_it_scores_it_is_not_trained_again(
    pair: Pair, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = requested(pair, tmp_path)

    def killed(*_: object) -> None:
        raise StoppedError

    def no_step(*_: object) -> None:
        raise AssertionError("trained again")

    with monkeypatch.context() as patch:
        patch.setattr(train_model, "score", killed)
        with pytest.raises(StoppedError):
            train(request)
    monkeypatch.setattr(SegmentationModule, "training_step", no_step)
    train(replace(request, resume=True))
    assert_same(tmp_path, undisturbed)


@pytest.mark.slow
def test_a_stage_bounded_in_time_is_resumed_with_the_time_that_is_left(pair: Pair, tmp_path: Path) -> None:
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
def test_the_best_weights_are_kept_where_it_may_stop_early(tmp_path: Path) -> None:
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


@pytest.mark.slow
def test_reading_processes_change_nothing_and_neither_does_a_break(
    pair: Pair, undisturbed: Path, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        train(requested(pair, tmp_path, "training.workers=2"), Stopping(6))
    train(replace(requested(pair, tmp_path, "training.workers=1"), resume=True))
    assert_same(tmp_path, undisturbed)


@pytest.mark.slow
def test_tiles_that_cannot_be_decoded_are_unknown(pair: Pair, undisturbed: Path, tmp_path: Path) -> None:
    slide, outlines = write_outlined(tmp_path)
    for tile in (0, 3, 8, 20):  # the last of them in what is kept out
        damage_tile(slide, tile)
    result = train(requested((slide, outlines), tmp_path / "out"))
    intact = json.loads((undisturbed / "report" / "report.json").read_text())["confusion"]
    assert 0 < result.confusion.counts.sum() < np.sum(intact)


@pytest.mark.slow
def test_whole_images_in_two_stages(tmp_path: Path) -> None:
    folder = write_tiles(tmp_path / "tiles", classes=3)
    recipe = tiny_recipe(
        "data.sampling=whole",
        "data.sizes=[[192, 128], [96, 64]]",
        "augment.quarter_turns=false",
        "training.stages=[encoder, full]",
        "training.epochs=15",
        "training.epoch_steps=null",
        "training.averaging=null",
    )
    result = train(TrainRequest(DataRequest((folder,)), recipe, tmp_path / "out"))
    assert result.confusion.mean_iou > 0.9
    bundle = load_bundle(result.model)
    assert bundle.input.size == (192, 128)
    assert espnet_config(bundle.architecture.config).variant == "full"
    steps = [row["step"] or 0 for row in rows_of(tmp_path / "out")]
    assert steps == sorted(steps)
    assert steps[-1] == 2 * 15 * 2 * 2


@pytest.mark.slow
def test_seeds_decide(pair: Pair, undisturbed: Path, tmp_path: Path) -> None:
    train(requested(pair, tmp_path / "same"))
    assert_same(tmp_path / "same", undisturbed)
    train(requested(pair, tmp_path / "other", "training.seed=1"))
    assert rows_of(tmp_path / "other") != rows_of(undisturbed)
