"""The slides that a page may show: each opened when it is asked for, and few open at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wsi_seg.view.shown_slide import Shown

MOST_OPEN = 4
"""Slides that stay open, beside those that are being read."""


class _Place:
    """A slide on the shelf: open or not, and how many are reading it."""

    def __init__(self, opener: Callable[[], Shown]) -> None:
        self.opener = opener
        self.shown: Shown | None = None
        self.before: list[Shown] = []  # of a result that was being written: closed when nobody reads it
        self.readers = 0
        self.lock = threading.Lock()


class Shelf:
    """Slides by number. May be used from several threads."""

    def __init__(self, openers: Sequence[Callable[[], Shown]] = ()) -> None:
        self._places = [_Place(opener) for opener in openers]
        self._used: OrderedDict[int, None] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._places)

    def add(self, opener: Callable[[], Shown]) -> int:
        """Put one more slide on the shelf; return its number."""
        with self._lock:
            self._places.append(_Place(opener))
            return len(self._places) - 1

    @contextmanager
    def opened(self, number: int) -> Iterator[Shown]:
        """Open a slide, or take it as it is; it stays open at least until this is left.

        Raises
        ------
        IndexError
            If there is no slide of this number.
        WsiSegError
            If it cannot be opened.
        """
        if not 0 <= number < len(self._places):
            raise IndexError(number)
        place = self._places[number]
        with self._lock:
            place.readers += 1
            self._used[number] = None
            self._used.move_to_end(number)
        try:
            with place.lock:
                if place.shown is not None and place.shown.moved_on:
                    place.before.append(place.shown)
                    place.shown = None
                if place.shown is None:
                    place.shown = place.opener()
                shown = place.shown
            yield shown
        finally:
            with self._lock:
                place.readers -= 1
                self._close_unused()

    def close(self) -> None:
        """Close all."""
        for place in self._places:
            for shown in (*place.before, place.shown):
                if shown is not None:
                    shown.close()

    def _close_unused(self) -> None:
        for number in self._used:
            place = self._places[number]
            while place.before and place.readers == 0:
                place.before.pop().close()
        for number in list(self._used)[:-MOST_OPEN]:
            place = self._places[number]
            if place.readers == 0:
                del self._used[number]
                if place.shown is not None:
                    place.shown.close()
                    place.shown = None
