"""The pace: learning rates by step or by clock, and when a stage validates and ends."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from wsi_seg.training.engine import pace as module
from wsi_seg.training.engine.pace import ENDLESS, Pace
from wsi_seg.training.recipe import OptimiserRecipe


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def trainer() -> SimpleNamespace:
    """What `Pace` needs of Lightning's."""
    return SimpleNamespace(
        global_step=0,
        should_stop=False,
        val_check_batch=ENDLESS,
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.0}, {"lr": 0.0}])],
        strategy=SimpleNamespace(broadcast=lambda value: value),
    )


def test_a_cosine_over_the_steps_after_a_warm_up() -> None:
    pace = Pace(OptimiserRecipe(learning_rate=0.1, warmup_steps=4), 100, None, 10)
    assert [pace.learning_rate(i) for i in range(5)] == pytest.approx(
        [0.1 * (i + 1) / 5 * 0.5 * (1 + math.cos(math.pi * i / 100)) for i in range(5)]
    )
    assert pace.learning_rate(50) == pytest.approx(0.05)
    assert pace.learning_rate(100) == pytest.approx(0, abs=1e-12)
    assert pace.learning_rate(130) == pytest.approx(0, abs=1e-12)


def test_steps_down_every_so_many_epochs() -> None:
    recipe = OptimiserRecipe(
        learning_rate=0.1, schedule="step", step_epochs=3, step_factor=0.5, warmup_steps=0
    )
    pace = Pace(recipe, 1000, None, 10)
    rates = [pace.learning_rate(step) for step in (0, 29, 30, 59, 60, 90)]
    assert rates == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025, 0.0125])


def test_the_rate_is_set_before_each_step() -> None:
    pace = Pace(OptimiserRecipe(learning_rate=0.1, warmup_steps=0), 100, None, 10)
    running = trainer()
    running.global_step = 50
    pace.on_train_batch_start(running, None, None, 50)  # type: ignore[arg-type]
    assert [group["lr"] for group in running.optimizers[0].param_groups] == pytest.approx([0.05, 0.05])


def run(pace: Pace, clock: Clock, step_seconds: float, running: SimpleNamespace) -> list[int]:
    """Train until it is over; return the steps after which a validation is due."""
    validated = []
    pace.on_train_start(running, None)  # type: ignore[arg-type]
    while not running.should_stop:
        pace.on_train_batch_start(running, None, None, 0)  # type: ignore[arg-type]
        clock.now += step_seconds
        running.global_step += 1
        pace.on_train_batch_end(running, None, None, None, 0)  # type: ignore[arg-type]
        if running.global_step % running.val_check_batch == 0:
            validated.append(running.global_step)
        assert running.global_step < 10_000
    return validated


def test_a_stage_bounded_in_time_ends_and_validates_at_even_shares_of_it(clock: Clock) -> None:
    pace, running = Pace(OptimiserRecipe(), None, 100.0, 10, validations=4), trainer()
    assert run(pace, clock, 1.0, running) == [25, 50, 75, 100]
    assert running.global_step == 100
    assert pace.learning_rate(100) == pytest.approx(0, abs=1e-12)


def test_a_step_that_takes_ages_is_followed_by_one_validation_only(clock: Clock) -> None:
    pace, running = Pace(OptimiserRecipe(), None, 100.0, 10, validations=4), trainer()
    assert run(pace, clock, 60.0, running) == [1, 2]


def test_a_resumed_stage_goes_on_with_its_clock_and_its_validations(clock: Clock) -> None:
    pace, running = Pace(OptimiserRecipe(), None, 100.0, 10, validations=4), trainer()
    pace.on_train_start(running, None)  # type: ignore[arg-type]
    clock.now += 60
    pace.on_train_batch_end(running, None, None, None, 0)  # type: ignore[arg-type]
    state = pace.state_dict()
    clock.now += 5000
    resumed, running = Pace(OptimiserRecipe(), None, 100.0, 10, validations=4), trainer()
    resumed.load_state_dict(state)
    assert resumed.elapsed == pytest.approx(60)
    assert resumed.progress(0) == pytest.approx(0.6)
    assert run(resumed, clock, 1.0, running) == [15, 40]


def test_a_stage_of_so_many_steps_is_not_ended_by_the_clock(clock: Clock) -> None:
    pace, running = Pace(OptimiserRecipe(), 5, None, 10), trainer()
    pace.on_train_start(running, None)  # type: ignore[arg-type]
    clock.now += 1e9
    pace.on_train_batch_end(running, None, None, None, 0)  # type: ignore[arg-type]
    assert not running.should_stop
    assert running.val_check_batch == ENDLESS


def test_a_short_stage_is_warmed_up_over_as_many_steps_as_a_long_one(clock: Clock) -> None:
    recipe = OptimiserRecipe(learning_rate=0.1, warmup_steps=50)
    timed = Pace(recipe, None, 100.0, 10)
    timed.on_train_start(trainer(), None)  # type: ignore[arg-type]
    clock.now += 10
    begun = 0.5 * (1 + math.cos(math.pi * 0.1))
    assert timed.learning_rate(2) == pytest.approx(0.1 * 3 / 51 * begun)
    assert Pace(recipe, 60, None, 10).learning_rate(6) == pytest.approx(0.1 * 7 / 51 * begun)


def test_what_is_used_up_first_ends_the_cosine(clock: Clock) -> None:
    pace = Pace(OptimiserRecipe(), 100, 100.0, 10)
    pace.on_train_start(trainer(), None)  # type: ignore[arg-type]
    clock.now += 20
    assert pace.progress(10) == pytest.approx(0.2)
    assert pace.progress(70) == pytest.approx(0.7)


def test_with_more_time_the_schedule_follows_what_is_left(clock: Clock) -> None:
    pace, running = Pace(OptimiserRecipe(), None, 100.0, 10, validations=4), trainer()
    run(pace, clock, 1.0, running)
    more, running = Pace(OptimiserRecipe(learning_rate=0.1), None, 200.0, 10, validations=4), trainer()
    more.load_state_dict(pace.state_dict())
    assert more.progress(100) == pytest.approx(0.5)
    assert more.learning_rate(100) == pytest.approx(0.05)
    assert run(more, clock, 1.0, running) == [50, 100]
