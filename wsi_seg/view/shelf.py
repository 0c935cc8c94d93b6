"""The slides that a page may show: each opened when it is asked for, and few open at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wsi_seg.view.watched_files import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wsi_seg.view.shown_slide import Shown

MOST_OPEN = 4
"""Slides that stay open, beside those that are being read."""

LATELY = 1.0
"""Seconds: a page asks for many tiles at a time, and for each of them the files are not looked at again."""


class MovedOnError(Exception):
    """What a page shows was made from files that have changed since."""

    def __str__(self) -> str:
        return "the files have changed since this page was opened: reload the page"


class _Place:
    """A slide on the shelf: open or not, and how many are reading it."""

    def __init__(self, opener: Callable[[], Shown]) -> None:
        self.opener = opener
        self.shown: Shown | None = None
        self.watch = Watch()  # of the last opening, also once that is closed
        self.opening = 0  # of the last one; 0 before the first
        self.moved_on = False
        self.before: list[Shown] = []  # made from files that have changed: closed when nobody reads it
        self.readers = 0
        self.lock = threading.Lock()

    def take(self, opening: int | None) -> Shown:
        """Return the slide, opened again if its files have changed; never another opening than asked for."""
        if self.shown is not None and self.watch.changed(0.0 if opening is None else LATELY):
            self.before.append(self.shown)
            self.shown, self.moved_on = None, True
        if opening is not None and (self.moved_on or opening != self.opening):
            raise MovedOnError
        if self.shown is None:
            self.shown = self._opened()
        if opening is not None and opening != self.opening:
            raise MovedOnError
        return self.shown

    def _opened(self) -> Shown:
        shown = self.opener()
        if self.opening == 0 or not shown.watch.same_as(self.watch):
            self.opening += 1
        self.watch, self.moved_on = shown.watch, False
        self.watch.opening = self.opening
        return shown


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

    def opening(self, number: int) -> int | None:
        """Return which opening of a slide would be shown now; None if it has to be opened first.

        Nothing is opened for that, so that pages may ask often.

        Raises
        ------
        IndexError
            If there is no slide of this number.
        """
        place = self._place(number)
        if place.opening == 0 or place.moved_on or place.watch.changed():
            return None
        return place.opening

    @contextmanager
    def opened(self, number: int, opening: int | None = None) -> Iterator[Shown]:
        """Open a slide, or take it as it is; it stays open at least until this is left.

        Parameters
        ----------
        number : int
        opening : int, optional
            The one that a page shows, of which it asks for more. By default, the slide as it is now.

        Raises
        ------
        IndexError
            If there is no slide of this number.
        MovedOnError
            If the slide's files are others than those of this opening.
        WsiSegError
            If it cannot be opened.
        """
        place = self._place(number)
        with self._lock:
            place.readers += 1
            self._used[number] = None
            self._used.move_to_end(number)
        try:
            with place.lock:
                shown = place.take(opening)
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

    def _place(self, number: int) -> _Place:
        if not 0 <= number < len(self._places):
            raise IndexError(number)
        return self._places[number]

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
