"""The choice among windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wsi_seg.slides.lattice import Rect
from wsi_seg.suggestion.choosing import choose
from wsi_seg.suggestion.ground import Window
from wsi_seg.suggestion.looking import Looked
from wsi_seg.suggestion.reasons import reason

CELLS, CHANNELS = 16, 8


def window(place: int, kind: int, doubt: float = 0.5, slide: int = 0) -> Looked:
    """Return a window whose cells all look like one kind of tissue; places 0, 2, 4 do not touch."""
    rng = np.random.default_rng([place, kind, slide])
    features = 10 * np.eye(CHANNELS)[kind] + rng.normal(0, 0.1, (CELLS, CHANNELS))
    leaning = np.array([0.7, 0.3, 0.0], dtype=np.float32)
    none = np.zeros((0, CHANNELS), np.float32)
    return Looked(
        slide=slide,
        window=Window(Rect(0, 64 * place, 64, 64 * (place + 1)), candidate=True, outlined=False),
        share=1.0,
        unsure=doubt,
        leaning=leaning,
        features=features.astype(np.float32),
        doubts=np.full(CELLS, 4 * doubt, dtype=np.float32),
        known=none,
    )


def outlined(place: int, kind: int) -> Looked:
    """Return a window that is outlined wholly."""
    seen = window(place, kind)
    none = np.zeros((0, CHANNELS), np.float32)
    given = Window(seen.window.rect, candidate=False, outlined=True)
    return replace(seen, window=given, features=none, doubts=np.zeros(0, np.float32), known=seen.features)


def kinds(looked: list[Looked], count: int) -> list[int]:
    return [int(each.looked.features.mean(axis=0).argmax()) for each in choose(looked, count)]


def test_no_two_are_alike() -> None:
    looked = [window(place, kind) for place, kind in ((0, 0), (2, 0), (4, 0), (6, 1), (8, 1), (10, 2))]
    assert sorted(kinds(looked, 3)) == [0, 1, 2]


def test_what_is_outlined_is_not_chosen_again() -> None:
    looked = [outlined(0, 0), *(window(place, kind) for place, kind in ((2, 0), (4, 0), (6, 0), (8, 1)))]
    assert kinds(looked, 1) == [1]


def test_doubt_decides_between_kinds_that_were_not_seen() -> None:
    looked = [outlined(0, 0), window(2, 1, doubt=0.1), window(4, 2, doubt=0.9)]
    assert kinds(looked, 1) == [2]
    looked = [outlined(0, 0), window(2, 1, doubt=0.9), window(4, 2, doubt=0.1)]
    assert kinds(looked, 1) == [1]


def test_windows_that_touch_are_left_for_the_end() -> None:
    looked = [window(place, 0) for place in range(5)]
    chosen = [each.looked.window.rect.x0 // 64 for each in choose(looked, 2)]
    assert abs(chosen[0] - chosen[1]) > 1
    assert len(choose(looked, 5)) == 5  # rather than none
    elsewhere = [window(0, 0), window(1, 1), window(1, 1, slide=1)]
    assert sorted(each.looked.slide for each in choose(elsewhere, 2)) == [0, 1]


def test_a_sure_network_leaves_the_choice_to_features() -> None:
    looked = [outlined(0, 0), window(2, 0, doubt=0.0), window(4, 1, doubt=0.0)]
    assert kinds(looked, 1) == [1]


def test_the_choice_is_the_same_again_and_ends() -> None:
    looked = [window(place, place % 3) for place in range(12)]
    first = [each.looked.window.rect for each in choose(looked, 6)]
    assert first == [each.looked.window.rect for each in choose(looked, 6)]
    assert len(set(first)) == len(first) == 6
    assert len(choose(looked, 100)) <= 12
    assert choose([outlined(0, 0)], 6) == []


@pytest.mark.parametrize(
    ("kind", "doubt", "said"),
    [
        (0, 0.5, "Invasive or Stroma"),
        (1, 0.5, "Invasive or Stroma, unlike anything outlined"),
        (1, 0.05, "taken for Invasive, unlike anything outlined"),
    ],
)
def test_a_reason_names_classes_and_what_is_new(kind: int, doubt: float, said: str) -> None:
    (chosen,) = choose([outlined(0, 0), window(4, kind, doubt=doubt)], 1)
    assert reason(chosen, ("Invasive", "Stroma", "Fat")) == said


def test_without_outlines_nothing_is_said_of_them() -> None:
    (chosen,) = choose([window(0, 0)], 1)
    assert chosen.unlike is None
    assert reason(chosen, ("Invasive", "Stroma", "Fat")) == "Invasive or Stroma"
