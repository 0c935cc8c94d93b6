"""Places to look at are spread evenly over what is full."""

from __future__ import annotations

from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.sampled import fullest, squares


def test_squares_tile_a_frame_and_leave_slivers_out() -> None:
    assert squares((500, 260), 256) == [Rect(0, 0, 256, 256), Rect(0, 256, 256, 512)]
    assert squares((20, 10), 256) == [Rect(0, 0, 256, 256)]


def test_full_places_come_first_and_evenly() -> None:
    assert fullest(range(100), lambda i: 1.0 if i >= 20 else 0.4, 4) == [20, 40, 60, 80]


def test_where_few_are_full_the_fullest_are_taken_and_empty_ones_never() -> None:
    assert fullest(range(5), lambda i: (0, 0.1, 0.9, 0.3, 0)[i], 2) == [2, 3]
    assert fullest(range(5), lambda i: (0, 0.1, 0.9, 0.3, 0)[i], 9) == [1, 2, 3]
    assert fullest([], lambda _: 1.0, 3) == []
