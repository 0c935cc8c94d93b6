"""The Dask stream: regions out to workers, finished shards on disk, a bounded window in flight.

The same code serves threads of this process and a cluster over the network. Each process that runs tasks
opens slide and model once, and a region's task writes its own shard (`wsi_seg.inference.stream.job`): nothing
large passes through the client or the scheduler. A task that is done again, because its worker was lost,
writes the same bytes again.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from distributed import wait

from wsi_seg.inference.stream.job import process_region
from wsi_seg.inference.stream.watch import Watch
from wsi_seg.inference.stream.workers import LOOK_SECONDS, Workers, result_of, scheduler_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from distributed import Client, Future

    from wsi_seg.inference.stream.job import RegionJob
    from wsi_seg.inference.stream.ledger import RegionRecord
    from wsi_seg.slides.lattice import Region

WINDOW_PER_THREAD = 2
"""Regions submitted for each thread: one at work, one to go on with."""


def run_regions(
    client: Client, job: RegionJob, regions: Iterable[Region], say: Callable[[str], None]
) -> Generator[RegionRecord, None, None]:
    """Do regions on a cluster, at most a window of them at a time; yield their records as they finish.

    Parameters
    ----------
    client : Client
    job : RegionJob
    regions : iterable of Region
    say : callable
        Takes a line for the user, as when a worker is silent.

    Raises
    ------
    WsiSegError
        The first error of any region; regions that were finished stay finished.
    SchedulerError
        If the scheduler or all workers are lost or silent, or a region takes every worker down that tries it.
    """
    workers = Workers.of(client)
    watch = Watch(client, workers, say)
    waiting = iter(regions)

    def submit(count: int) -> set[Future[RegionRecord]]:
        return {
            client.submit(process_region, job, r.row, r.column, pure=False, resources=workers.resources)
            for r in itertools.islice(waiting, count)
        }

    running: set[Future[RegionRecord]] = set()
    try:
        with scheduler_kept(client):
            running = submit(max(1, WINDOW_PER_THREAD * workers.threads))
        while running:
            with scheduler_kept(client):
                done = _done(running)
            if not done:
                watch.look()
                continue
            running -= done
            while done:  # none is held longer than it takes
                future = done.pop()
                try:
                    record = result_of(client, future)
                except TimeoutError:
                    if future.status == "error":
                        raise
                    running.add(future)
                    watch.look()
                    continue
                del future
                watch.hear()
                yield record
                with scheduler_kept(client):
                    running |= submit(1)
    finally:
        if client.status == "running":
            client.cancel(list(running))


def _done(running: set[Future[RegionRecord]]) -> set[Future[RegionRecord]]:
    """Wait a little for some of them, and return those that are done."""
    try:
        return set(wait(list(running), timeout=LOOK_SECONDS, return_when="FIRST_COMPLETED").done)
    except TimeoutError:
        return set()
