from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import cast

import pytest

from wsi_seg.errors import SlideError
from wsi_seg.view import shelf as module
from wsi_seg.view.shelf import MOST_OPEN, MovedOnError, Shelf
from wsi_seg.view.shown_slide import Shown
from wsi_seg.view.watched_files import Watch


class Stand:
    """Stands for a slide."""

    def __init__(self, number: int, log: list[str], file: Path | None = None) -> None:
        self.number, self.log = number, log
        self.watch = Watch()
        if file is not None:
            self.watch.file(file)
        log.append(f"open {number}")

    def close(self) -> None:
        self.log.append(f"close {self.number}")


def opened(number: int, log: list[str], file: Path | None = None) -> Shown:
    return cast("Shown", Stand(number, log, file))


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


def test_what_has_changed_is_opened_again_and_closed_when_nobody_reads_it(tmp_path: Path) -> None:
    log: list[str] = []
    file = tmp_path / "file"
    shelf = Shelf([partial(opened, 0, log, file)])
    with shelf.opened(0) as first:
        file.write_text("new")
        with shelf.opened(0) as second:
            assert second is not first
            assert log == ["open 0", "open 0"]
        assert "close 0" not in log
    assert log == ["open 0", "open 0", "close 0"]
    shelf.close()
    assert log.count("close 0") == 2


def test_a_page_gets_the_opening_that_it_shows_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LATELY", 0.0)
    log: list[str] = []
    file = tmp_path / "file"
    shelf = Shelf([partial(opened, 0, log, file), *(partial(opened, n, log) for n in range(1, 7))])
    assert shelf.opening(0) is None
    with shelf.opened(0) as shown:
        first = shown.watch.opening
    assert shelf.opening(0) == first
    for number in range(1, 7):
        with shelf.opened(number):
            pass
    assert "close 0" in log  # others took its place
    assert shelf.opening(0) == first
    with shelf.opened(0, first) as shown:
        assert shown.watch.opening == first  # of the same files
    file.write_text("new")
    assert shelf.opening(0) is None
    count = len(log)
    with pytest.raises(MovedOnError, match="reload the page"), shelf.opened(0, first):
        pass
    assert "open 0" not in log[count:]  # not for a tile of before
    with shelf.opened(0) as shown:
        assert shown.watch.opening == shelf.opening(0) == first + 1
    with pytest.raises(MovedOnError), shelf.opened(0, first):
        pass
    shelf.close()


def test_files_are_looked_at_once_for_many_tiles(tmp_path: Path) -> None:
    file = tmp_path / "file"
    shelf = Shelf([partial(opened, 0, [], file)])
    with shelf.opened(0) as shown:
        first = shown.watch.opening
    with shelf.opened(0, first):
        file.write_text("new")
    with shelf.opened(0, first) as again:
        assert again is shown
    shelf.close()
