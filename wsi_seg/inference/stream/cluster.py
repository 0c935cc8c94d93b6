"""Connect to a Dask cluster: one of threads in this process, or a running one.

Neither becomes Dask's default: what else the process computes by Dask stays where it was.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import dask
from distributed import Client, LocalCluster

from wsi_seg.errors import NoSchedulerError
from wsi_seg.memory import bound_freed
from wsi_seg.process import WhileNeeded, silent

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT_SECONDS = 15

QUIET: dict[str, object] = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "60s",
    "distributed.admin.low-level-log-length": 10,
    "distributed.scheduler.worker-ttl": None,
}
"""Switches off Dask's profiler, which samples a hundred times a second and costs a twentieth of a core, and
two monitors, which read the machine's load twice a second. Of the messages between its parts Dask keeps the
last 1,000, to look for faults in Dask: each region's job is in one, so ten are enough. It gives up a worker
that was silent for five minutes: ours is silent where the process was stopped, as on a laptop that slept."""

_quiet = WhileNeeded(partial(silent, "distributed", "tornado"))
"""Keeps Dask's log messages and tracebacks off the screen: users see errors that matter in one line."""


@contextmanager
def local_cluster(threads: int | None) -> Iterator[Client]:
    """Start a Dask cluster of threads in this process; other machines cannot reach it."""
    bound_freed()
    with (
        _quiet(),
        dask.config.set(QUIET),
        LocalCluster(
            n_workers=1,
            threads_per_worker=threads or min(4, (os.cpu_count() or 1) + 1),
            processes=False,
            # Dask always serves status pages: only to this machine, on any free port.
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            memory_limit=0,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def remote_cluster(scheduler: str) -> Iterator[Client]:
    """Connect to a running Dask cluster, by address or by scheduler file.

    Raises
    ------
    NoSchedulerError
        If it cannot be reached.
    """
    is_file = Path(scheduler).is_file()
    with _quiet():
        try:
            client = (
                Client(scheduler_file=scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
                if is_file
                else Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise NoSchedulerError(
                f"{scheduler}: no Dask scheduler answers there: check the address (tcp://HOST:PORT) or file, "
                "or leave --scheduler out to run here"
            ) from error
        with client:
            yield client
