"""Timing repeated passes, and finding the batch that gives the most images a second."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WARM_UP = 3

WARM_UP_SHARE = 0.4
"""Share of the time limit after which no further pass is used to warm up."""

GAIN, PATIENCE = 1.02, 2
"""A larger batch is better if it gives 2 % more images a second. The search ends after two doublings that do
not."""

MAX_BATCH = 1024


class OutOfMemoryError(Exception):
    """A pass needs more memory than there is. This package catches it."""


@dataclass(frozen=True)
class Limits:
    """How long to measure one network at one setting.

    Attributes
    ----------
    repeats : int
        Passes that are counted, at each batch size and in each round.
    seconds : float
        Time for all passes together; some passes always count.
    rounds : int
        All networks are timed one after another in each of these rounds, so that other work of the machine
        affects all of them equally.
    """

    repeats: int
    seconds: float
    rounds: int


@dataclass(frozen=True)
class Spread:
    """Middle and spread of repeated measurements.

    Attributes
    ----------
    median : float
    low, high : float
        First and third quartile.
    count : int
        Number of measurements.
    """

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise one value or more."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0], 1)
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high, len(values))


@dataclass(frozen=True)
class Timed:
    """How long a batch takes.

    Attributes
    ----------
    batch : int
        Images at a time.
    seconds : Spread
        Of a pass, for the whole batch.
    """

    batch: int
    seconds: Spread

    @property
    def images_per_second(self) -> float:
        """Images a second, by the median."""
        return self.batch / self.seconds.median


def time_passes(
    run: Callable[[], None],
    repeats: int,
    limit: float,
    warm_up: int = WARM_UP,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Time passes, after warming up.

    Parameters
    ----------
    run : callable
        One pass; the device has finished it when this returns.
    repeats : int
        Passes that are counted, at most.
    limit : float
        Seconds after which no further pass begins; one pass always counts.
    warm_up : int
        Passes that are not counted, as long as they leave time for others.
    clock : callable
        Returns seconds, from any start.

    Returns
    -------
    list of float
        Seconds of each pass that is counted; one or more.
    """
    begin = clock()
    for _ in range(warm_up):
        run()
        if clock() - begin > WARM_UP_SHARE * limit:
            break
    seconds: list[float] = []
    while not seconds or (len(seconds) < repeats and clock() - begin < limit):
        start = clock()
        run()
        seconds.append(clock() - start)
    return seconds


def search_batch(
    first: Timed,
    measure: Callable[[int], Timed],
    fits: Callable[[int], bool],
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Timed, str]:
    """Double the batch as long as it becomes faster, and memory and time are left.

    Parameters
    ----------
    first : Timed
        Batch 1.
    measure : callable
        Times a batch; raises OutOfMemoryError where there is too little.
    fits : callable
        Returns whether a batch fits in memory, if it is known without trying.
    seconds : float
        Time for the search; a doubling that would take longer than the time left is not tried.
    clock : callable
        Returns seconds, from any start.

    Returns
    -------
    best : Timed
    ended : str
        Why the search ended, in words; empty if larger batches are not faster.
    """
    begin = clock()
    best = last = first
    idle = 0
    while idle < PATIENCE:
        batch = 2 * last.batch
        if batch > MAX_BATCH:
            return best, f"batches above {MAX_BATCH} not tried"
        if not fits(batch):
            return best, f"batch {batch} not tried: too little memory; continued with {best.batch}"
        # One pass to warm up and one that counts, each twice as long as the last.
        if clock() - begin + 4 * last.seconds.median > seconds:
            return best, f"batch {batch} not tried: time was up"
        try:
            last = measure(batch)
        except OutOfMemoryError:
            return best, f"out of memory at batch {batch}; continued with {best.batch}"
        idle = 0 if last.images_per_second > GAIN * best.images_per_second else idle + 1
        best = max(best, last, key=lambda timed: timed.images_per_second)
    return best, ""
