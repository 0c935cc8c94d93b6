"""The examples of a report: tiles that show something."""

from __future__ import annotations

import numpy as np
from helpers.trainings import Picture, striped

from wsi_seg.data.sources import IGNORE
from wsi_seg.slides.lattice import Rect
from wsi_seg.training.data.cache import PixelCache
from wsi_seg.training.data.split import nothing_held_out
from wsi_seg.training.data.survey import survey_all
from wsi_seg.training.engine.score import telling, worst_place
from wsi_seg.training.engine.validation import CORE, Tiles


def tiles_with(*known: Rect) -> Tiles:
    rgb, truth = striped(CORE, 3 * CORE)
    classes = np.full_like(truth, IGNORE)
    for rect in known:
        classes[rect.slices] = truth[rect.slices]
    sources = [Picture("strip", rgb, classes)]
    return Tiles(PixelCache(sources, 64), nothing_held_out(sources), survey_all(sources))


def test_tiles_of_which_little_is_known_are_not_shown() -> None:
    sliver, much, third = (
        Rect(0, 0, CORE, 16),
        Rect(0, CORE, CORE, 2 * CORE),
        Rect(0, 2 * CORE, 128, 3 * CORE),
    )
    assert telling(tiles_with(sliver, much, third)) == {1, 2}


def test_where_little_is_known_of_any_the_best_is_shown() -> None:
    assert telling(tiles_with(Rect(0, 0, 64, 16), Rect(0, CORE, 64, CORE + 32))) == {1}


def test_the_worst_class_is_shown_where_it_is_worst() -> None:
    """The second class has the lowest IoU; most of its errors lie in the third place."""
    good, missed = [[90, 10, 0], [10, 90, 0]], [[90, 10, 0], [60, 40, 0]]
    false = [[20, 80, 0], [0, 10, 0]]
    counts = np.array([good, missed, false, good], np.int64)
    assert worst_place(counts) == (2, 1)
    assert worst_place(np.array([[[50, 0, 0], [0, 50, 0]]], np.int64)) is None
    assert worst_place(np.zeros((1, 2, 3), np.int64)) is None
