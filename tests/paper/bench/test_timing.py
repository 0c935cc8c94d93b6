"""Times, with clocks of the tests' own; and the search for the best batch."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wsi_seg.paper.bench.timing import (
    MAX_BATCH,
    WARM_UP,
    OutOfMemoryError,
    Spread,
    Timed,
    search_batch,
    time_passes,
)


class Work:
    """A clock, and passes that take what they are told to."""

    def __init__(self, *seconds: float) -> None:
        self.now, self.runs = 100.0, 0
        self._seconds = seconds

    def clock(self) -> float:
        return self.now

    def run(self) -> None:
        self.now += self._seconds[min(self.runs, len(self._seconds) - 1)]
        self.runs += 1


def test_spread_is_the_median_and_the_quartiles() -> None:
    assert Spread.of([5, 1, 2, 4, 3]) == Spread(3, 2, 4, 5)
    assert Spread.of([2.5]) == Spread(2.5, 2.5, 2.5, 1)


def test_passes_are_counted_after_warming_up() -> None:
    work = Work(9, 5, 4, 1)
    assert time_passes(work.run, 6, 1000, clock=work.clock) == [1] * 6
    assert work.runs == WARM_UP + 6


def test_time_limits_the_passes_but_one_is_always_counted() -> None:
    work = Work(1)
    assert len(time_passes(work.run, 100, 10, clock=work.clock)) == 10 - WARM_UP
    work = Work(60)
    assert time_passes(work.run, 100, 10, clock=work.clock) == [60]
    assert work.runs == 2
    assert time_passes(work.run, 100, 10, 0, work.clock) == [60]
    assert work.runs == 3


def timed(batch: int, images_per_second: float) -> Timed:
    return Timed(batch, Spread.of([batch / images_per_second]))


def rates(table: dict[int, float]) -> Callable[[int], Timed]:
    def measure(batch: int) -> Timed:
        if batch not in table:
            raise OutOfMemoryError
        return timed(batch, table[batch])

    return measure


def always(_: int) -> bool:
    return True


def test_the_batch_grows_for_as_long_as_it_pays() -> None:
    rising = {2: 20.0, 4: 30.0, 8: 30.1, 16: 29.0, 32: 99.0}
    best, ended = search_batch(timed(1, 10), rates(rising), always, 1e9, lambda: 0)
    assert (best.batch, ended) == (8, "")
    assert best.images_per_second == pytest.approx(30.1)
    dip = {2: 9.0, 4: 30.0, 8: 9.0, 16: 9.0}
    assert search_batch(timed(1, 10), rates(dip), always, 1e9, lambda: 0)[0].batch == 4


def test_out_of_memory_goes_back_to_half_and_says_so() -> None:
    best, ended = search_batch(timed(1, 10), rates({2: 20, 4: 40}), always, 1e9, lambda: 0)
    assert (best.batch, ended) == (4, "out of memory at batch 8; continued with 4")


def test_a_batch_that_will_not_fit_is_not_tried() -> None:
    best, ended = search_batch(timed(1, 10), rates({2: 20}), lambda batch: batch < 4, 1e9, lambda: 0)
    assert (best.batch, ended) == (2, "batch 4 not tried: too little memory; continued with 2")


def test_the_search_ends_in_time_and_somewhere() -> None:
    best, ended = search_batch(timed(1, 1), rates({}), always, 3.9, lambda: 0)
    assert (best.batch, ended) == (1, "batch 2 not tried: time was up")
    endless = {2**n: 10.0 * 2**n for n in range(1, 20)}
    assert search_batch(timed(1, 10), rates(endless), always, 1e9, lambda: 0)[0].batch == MAX_BATCH
