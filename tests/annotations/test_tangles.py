from __future__ import annotations

import numpy as np
import pytest

from wsi_seg.annotations import tangles
from wsi_seg.annotations.repair import repair
from wsi_seg.annotations.tangles import refuse_tangles


def star(points: int) -> np.ndarray:
    """A line that crosses itself ``points * (points - 3) / 2`` times."""
    turn = 2 * np.pi / points * (points // 2) * np.arange(points)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1) * 1000


def stairs(steps: int) -> np.ndarray:
    """Squares in a row that touch at their corners, drawn as one line."""
    up = [point for i in range(steps) for point in ((i, i), (i + 1, i))]
    down = [point for i in range(steps, 0, -1) for point in ((i, i), (i - 1, i))]
    return np.array(up + down, dtype=float)


def test_an_outline_that_crosses_itself_some_hundred_times_is_refused_and_not_repaired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tangles, "MAX_CROSSINGS", 20)
    with pytest.raises(ValueError, match="the outline crosses itself more than 20 times"):
        repair([[star(9)]])


def test_each_line_of_a_shape_is_counted_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tangles, "MAX_CROSSINGS", 20)
    refuse_tangles([star(7), star(7) + 5000])
    with pytest.raises(ValueError, match="crosses itself more than 20 times"):
        refuse_tangles([star(7), star(9) + 5000])


def test_lines_may_touch_themselves_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tangles, "MAX_CROSSINGS", 0)
    repaired = repair([[stairs(100)]])
    assert repaired.geometry.area == 100
    monkeypatch.setattr(tangles, "MAX_CONTACTS", 100)
    monkeypatch.setattr(tangles, "CONTACTS_PER_EDGE", 1)
    with pytest.raises(ValueError, match="its lines meet more than 400 times"):
        repair([[stairs(100)]])


def test_a_line_drawn_twice_is_no_tangle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tangles, "MAX_CONTACTS", 0)
    turn = np.linspace(0, 2 * np.pi, 500, endpoint=False)
    round_ = np.stack([np.cos(turn), np.sin(turn)], axis=1) * 1000
    assert repair([[np.concatenate([round_, round_])]]).geometry.area == pytest.approx(np.pi * 1e6, rel=1e-3)


def test_how_many_edges_are_looked_at_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tangles, "PAIRS", 1)
    monkeypatch.setattr(tangles, "MAX_CROSSINGS", 14)
    refuse_tangles([star(7)])
    monkeypatch.setattr(tangles, "MAX_CROSSINGS", 13)
    with pytest.raises(ValueError, match="more than 13 times"):
        refuse_tangles([star(7)])
