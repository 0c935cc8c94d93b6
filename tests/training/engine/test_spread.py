"""Ranges of scores: over places that were kept out, and only where there are enough of them."""

from __future__ import annotations

import numpy as np
import pytest

from wsi_seg.evaluation.metrics import Confusion
from wsi_seg.training.engine.spread import Places


def places(hits: list[int], unit: str = "tiles", sources: list[int] | None = None) -> Places:
    """Of two classes with 100 pixels each in every place, so many are right."""
    counts = np.array([[[hit, 100 - hit, 0], [100 - hit, hit, 0]] for hit in hits], np.int64)
    return Places(counts, sources or [0] * len(hits), unit)


def test_places_that_are_alike_give_a_range_of_no_width() -> None:
    ranges = places([80] * 6).ranges()
    iou = 80 / 120
    assert ranges.mean == pytest.approx((iou, iou))
    assert ranges.classes[1] == pytest.approx((iou, iou))
    assert (ranges.places, ranges.unit) == (6, "tiles")


def test_places_that_differ_give_a_range_around_the_score() -> None:
    hits = [100, 95, 90, 60, 20, 5, 99, 80]
    given = places(hits)
    low, high = given.ranges().mean or (0, 0)
    score = Confusion(given.counts.sum(axis=0)).mean_iou
    assert low < score - 0.1
    assert high > score + 0.1
    assert given.ranges() == given.ranges(), "the same places give the same range"


def test_few_places_give_none() -> None:
    assert places([80] * 4).ranges().mean is None
    assert places([80] * 4).ranges().classes == (None, None)


def test_a_class_in_few_places_has_none_and_so_has_the_mean() -> None:
    given = places([80] * 8)
    given.counts[:5, 1] = 0  # the second class is true in three places
    ranges = given.ranges()
    assert ranges.classes[0] is not None
    assert ranges.classes[1] is None
    assert ranges.mean is None


def test_whole_slides_are_drawn_where_there_are_enough() -> None:
    """Tiles of one slide are alike: eight slides of which half fail scatter more than 32 tiles at random."""
    hits = [95] * 16 + [5] * 16
    by_tile = places(hits).ranges()
    by_slide = places(hits, sources=[i // 4 for i in range(32)]).ranges()
    assert (by_slide.places, by_slide.unit) == (8, "slides")
    assert by_tile.mean is not None
    assert by_slide.mean is not None
    assert np.ptp(by_slide.mean) > 1.5 * np.ptp(by_tile.mean)
