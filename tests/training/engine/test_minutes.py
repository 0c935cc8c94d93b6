"""The budget: how many steps the minutes buy, what it would take, and the command that goes on."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from helpers.trainings import tiny_recipe
from lightning.pytorch import Trainer

from wsi_seg.progress import TrainingProgress
from wsi_seg.slides.lattice import Rect
from wsi_seg.training.engine.minutes import Budget, continuing, minutes_for, validated_steps
from wsi_seg.training.engine.pace import Pace
from wsi_seg.training.engine.stage_plan import StagePlan


class Said(TrainingProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def said_of(seconds: float, step_seconds: float, *, enough: int | None = 700, count: int = 1) -> list[str]:
    """Train at a rate until the time is up, the first steps ten times as slow; return what was said."""
    plan = StagePlan(
        number=1,
        count=count,
        steps=None,
        seconds=seconds,
        epoch_steps=20,
        validation_steps=20,
        folder=Path(),
        logs=Path(),
        device=torch.device("cpu"),
        precision="32-true",
        validated="8 tiles kept out",
        enough_steps=enough,
        validated_steps=20.0,
    )
    clock, listener = SimpleNamespace(elapsed=0.0), Said()
    budget = Budget(plan, cast(Pace, clock), listener)
    running = SimpleNamespace(global_step=0, is_global_zero=True)
    while clock.elapsed < seconds:
        clock.elapsed += step_seconds * (10 if running.global_step < 3 else 1)
        running.global_step += 1
        budget.on_train_batch_end(cast(Trainer, running), None, None, None, 0)  # type: ignore[arg-type]
    return listener.lines


def test_it_is_said_once_how_many_steps_the_minutes_will_buy() -> None:
    """270 s without the slow steps, at half a second: 540 steps, less twenty for validations."""
    (line,) = said_of(300, 0.5, enough=None)
    steps = int(line.removeprefix("at this rate, 5 minutes will give about ").removesuffix(" steps"))
    assert steps == pytest.approx(300 / 0.5 - 27 - 20, abs=2)


def test_too_few_steps_are_said_with_what_it_would_take() -> None:
    (line,) = said_of(300, 4.0)
    assert line.startswith("at this rate, 5 minutes will give about ")
    words = line.split()
    steps, minutes = int(words[words.index("about") + 1]), int(words[words.index("--minutes") + 1])
    assert 25 < steps < 60
    assert "this recipe needs about 700" in line
    assert minutes == minutes_for(700, 5, steps)
    assert "recipe needs" not in said_of(300, 0.2)[0]


def test_of_a_stage_among_several_it_is_said_of_that_stage() -> None:
    (line,) = said_of(60, 0.5, count=2)
    assert line.startswith("at this rate, 2 minutes will give about ")
    assert "in stage 1 of 2" in line


def test_where_time_is_up_before_anything_is_measured_nothing_is_said() -> None:
    assert said_of(3, 2.0) == []


def test_validations_take_time_by_what_they_look_at() -> None:
    """Four tiles with their margins have the pixels of two steps; ten times, at a third of the cost."""
    recipe = tiny_recipe("training.batch_size=8", "data.patch=256")
    tiles = [Rect(0, 0, 384, 384)] * 4
    assert validated_steps(recipe, tiles) == pytest.approx(20 / 3)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("wsi-seg train a.svs 'my outlines.geojson'", "wsi-seg train a.svs 'my outlines.geojson'"),
        ("wsi-seg train a b --minutes 5 --overwrite -o out", "wsi-seg train a b -o out"),
        ("wsi-seg train a b --minutes=5 --resume", "wsi-seg train a b"),
        (
            "wsi-seg train a b --set training.minutes=5 --set loss.dice=1",
            "wsi-seg train a b --set loss.dice=1",
        ),
        ("wsi-seg train a b --set=training.minutes=5", "wsi-seg train a b"),
    ],
)
def test_the_command_that_goes_on_is_the_same_with_more_minutes(typed: str, expected: str) -> None:
    assert continuing(typed, 12) == f"{expected} --resume --minutes 12"
    assert shlex.split(continuing(typed, 12))[2:4] == shlex.split(typed)[2:4]


def test_from_python_it_is_the_same_call() -> None:
    assert continuing("wsi_seg.train", 12) == "the same call with resume=True, minutes=12"
