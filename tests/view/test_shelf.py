from __future__ import annotations

from functools import partial
from typing import cast

import pytest

from wsi_seg.errors import SlideError
from wsi_seg.view.shelf import MOST_OPEN, Shelf
from wsi_seg.view.shown_slide import Shown


class Stand:
    """Stands for a slide."""

    moved_on = False

    def __init__(self, number: int, log: list[str]) -> None:
        self.number, self.log = number, log
        log.append(f"open {number}")

    def close(self) -> None:
        self.log.append(f"close {self.number}")


def opened(number: int, log: list[str]) -> Shown:
    return cast("Shown", Stand(number, log))


def shelf_of(count: int, log: list[str]) -> Shelf:
    return Shelf([partial(opened, number, log) for number in range(count)])


def test_few_slides_are_open_and_the_last_used_stay() -> None:
    log: list[str] = []
    shelf = shelf_of(MOST_OPEN + 2, log)
    for number in (*range(MOST_OPEN), 0, MOST_OPEN, 0):
        with shelf.opened(number):
            pass
    assert log == [*(f"open {n}" for n in range(MOST_OPEN)), f"open {MOST_OPEN}", "close 1"]
    shelf.close()
    assert len([line for line in log if line.startswith("close")]) == MOST_OPEN + 1


def test_a_slide_that_is_read_is_not_closed() -> None:
    log: list[str] = []
    shelf = shelf_of(MOST_OPEN + 3, log)
    with shelf.opened(0):
        for number in range(1, MOST_OPEN + 3):
            with shelf.opened(number):
                pass
        assert "close 0" not in log
        assert "close 1" in log


def test_a_slide_that_cannot_be_opened_is_tried_again() -> None:
    tries: list[int] = []

    def opener() -> Shown:
        tries.append(1)
        raise SlideError("slide.svs: no such file")

    shelf = Shelf([opener])
    for _ in range(2):
        with pytest.raises(SlideError), shelf.opened(0):
            pass
    assert len(tries) == 2
    for number in (-1, 1):
        with pytest.raises(IndexError), shelf.opened(number):
            pass


def test_a_result_at_another_stage_is_opened_again_and_closed_when_nobody_reads_it() -> None:
    log: list[str] = []
    shelf = shelf_of(1, log)
    with shelf.opened(0) as first:
        cast("Stand", first).moved_on = True
        with shelf.opened(0) as second:
            assert second is not first
            assert log == ["open 0", "open 0"]
        assert "close 0" not in log
    assert log == ["open 0", "open 0", "close 0"]
    shelf.close()
    assert log.count("close 0") == 2
