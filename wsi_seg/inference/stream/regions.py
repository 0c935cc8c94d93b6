"""The Dask stream: regions go to workers, shards go to disk, and a bounded number of regions is in flight.

The same code is for threads of this process and for a cluster over the network. Each process that runs tasks
opens slide and model once, and a region's task writes its own shard (`wsi_seg.inference.stream.job`): nothing
large passes through the client or the scheduler. If a worker is lost, its tasks run again, and write the same
bytes.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from wsi_seg.inference.stream.job import process_region
from wsi_seg.inference.stream.watch import Watch
from wsi_seg.inference.stream.workers import Workers, first_done, result_of, scheduler_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from distributed import Client, Future

    from wsi_seg.inference.stream.job import RegionJob
    from wsi_seg.inference.stream.ledger import LedgerEntry
    from wsi_seg.slides.lattice import Region

WINDOW_PER_THREAD = 2
"""Regions submitted for each thread: the current one and the next."""


def run_regions(
    client: Client, job: RegionJob, regions: Iterable[Region], say: Callable[[str], None]
) -> Generator[LedgerEntry, None, None]:
    """Do regions on a cluster, a bounded number at a time; yield their ledger entries as they finish.

    Parameters
    ----------
    client : Client
    job : RegionJob
    regions : iterable of Region
    say : callable
        Takes a line for the user, for example if a worker is silent.

    Raises
    ------
    WsiSegError
        The first error of any region; finished regions stay finished.
    SchedulerError
        If the scheduler or all workers are lost or silent, or if every worker that tries a region dies.
    """
    workers = Workers.of(client)
    watch = Watch(client, workers, say)
    waiting = iter(regions)

    def submit(count: int) -> set[Future[LedgerEntry]]:
        return {
            client.submit(process_region, job, r.row, r.column, pure=False, resources=workers.resources)
            for r in itertools.islice(waiting, count)
        }

    running: set[Future[LedgerEntry]] = set()
    try:
        with scheduler_kept(client):
            running = submit(max(1, WINDOW_PER_THREAD * workers.threads))
        while running:
            with scheduler_kept(client):
                done = first_done(client, list(running))
            if not done:
                watch.look()
                continue
            running -= done
            while done:  # each is released as soon as possible
                future = done.pop()
                try:
                    entry = result_of(client, future)
                except TimeoutError:
                    if future.status == "error":
                        raise
                    running.add(future)
                    watch.look()
                    continue
                del future
                watch.hear()
                yield entry
                with scheduler_kept(client):
                    running |= submit(1)
    finally:
        if client.status == "running":
            client.cancel(list(running))
