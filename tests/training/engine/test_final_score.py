"""The examples of a report: tiles that show something."""

from __future__ import annotations

import numpy as np
from helpers.trainings import Picture, striped

from wsi_seg.data.sources import IGNORE
from wsi_seg.slides.lattice import Rect
from wsi_seg.training.data.cache import PixelCache
from wsi_seg.training.data.split import nothing_held_out
from wsi_seg.training.data.survey import survey_all
from wsi_seg.training.engine.final_score import telling, worst_first, worst_place
from wsi_seg.training.engine.validation import CORE, Tiles
from wsi_seg.training.report.contents import Example


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


def test_examples_begin_with_the_worst_and_end_with_what_nobody_knows() -> None:
    truth = np.zeros((4, 5), np.uint8)
    truth[0] = IGNORE
    found = {3: 1, 1: 9, 8: 0, 5: 12}  # wrong pixels, of the 15 that are known
    examples = {}
    for number, wrong in found.items():
        prediction = np.zeros_like(truth)
        prediction.reshape(-1)[5 : 5 + wrong] = 1
        examples[number] = Example(str(number), np.zeros((4, 5, 3), np.uint8), truth, prediction)
    unknown = Example("unknown", np.zeros((4, 5, 3), np.uint8), np.full_like(truth, IGNORE), truth)
    ordered = worst_first({0: unknown, **examples})
    assert list(ordered) == [5, 1, 3, 8, 0]
    assert [round(15 * example.right) for example in list(ordered.values())[:4]] == [3, 6, 14, 15]
