"""While no region finishes: check that there is still a worker to wait for, and name silent ones."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from wsi_seg.inference.stream.workers import Workers, no_workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Client

LOST_SECONDS = 18.0
"""Seconds without any worker after which the run gives up; a restarted worker is back by then."""

SILENT_SECONDS = 120.0
"""Seconds for which workers may be silent (for example while they load PyTorch) or take no work."""

HANGS_SECONDS = 45.0
"""Seconds after which a single silent worker is named; the run continues."""

COUNTED_SECONDS = 15.0
"""Seconds that count, at most, between two looks. They are a few apart: where more have passed, this process
was stopped (a laptop that slept, a paused container), and workers could not be heard."""


class Watch:
    """Checks that there is still a worker to wait for, and names silent workers.

    Parameters
    ----------
    client : Client
    workers : Workers
        As they were when the work began.
    say : callable
        Takes a line for the user.
    """

    def __init__(self, client: Client, workers: Workers, say: Callable[[str], None]) -> None:
        self._client, self._workers, self._say = client, workers, say
        self._clock, self._looked = 0.0, time.monotonic()
        self._since = self._clock
        self._heard_at = dict.fromkeys(workers.heard, self._since)
        self._named: set[str] = set()

    def hear(self) -> None:
        """Note that a region was finished."""
        self._since = self._now()

    def look(self) -> None:
        """Check, after some time without a finished region.

        Raises
        ------
        SchedulerError
            If the scheduler is lost, if there was no worker for `LOST_SECONDS`, or if none answered or took
            work for `SILENT_SECONDS`.
        """
        now, before = self._now(), self._workers
        found = Workers.of(self._client)
        if found.resources != before.resources:
            found = Workers(found.scheduler, {}, frozenset(), 0, before.resources)
        heard = {name for name, last in found.heard.items() if before.heard.get(name) != last}
        if found.heard:
            self._workers = found
        if heard - found.idle:
            self._since = now
        elif now - self._since > (SILENT_SECONDS if found.heard else LOST_SECONDS):
            raise no_workers(self._workers, found)
        self._name_silent(found, heard, now)

    def _now(self) -> float:
        """Return the seconds that count since this was made."""
        now = time.monotonic()
        self._clock += min(now - self._looked, COUNTED_SECONDS)
        self._looked = now
        return self._clock

    def _name_silent(self, found: Workers, heard: set[str], now: float) -> None:
        """Report each silent worker once: its regions wait for it."""
        self._heard_at |= dict.fromkeys(heard, now)
        self._named -= heard
        for name in sorted(found.heard.keys() - self._named):
            silent = now - self._heard_at.setdefault(name, now)
            if silent > HANGS_SECONDS:
                self._named.add(name)
                self._say(
                    f"worker {name}: silent for {silent:.0f} s: its regions wait until it answers, or until "
                    "Dask gives it up: check this worker, or stop it"
                )
