"""The Dask stream: regions out to workers, finished shards on disk, a bounded window in flight.

The same code serves threads of this process and a cluster over the network. A region's task opens the slide
where it runs, and writes its own shard: nothing large passes through the client or the scheduler. A task that
is done again, because its worker was lost, writes the same bytes again.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import dask
import numpy as np
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed
from distributed.comm.core import CommClosedError

from wsi_seg import __version__
from wsi_seg.data.laying import read_regions
from wsi_seg.errors import ModelError, SchedulerError, UsageError
from wsi_seg.inference.extent import Extent
from wsi_seg.inference.ledger import Ledger, RegionRecord
from wsi_seg.inference.pool import SegmenterPool
from wsi_seg.inference.region import RegionSegmenter
from wsi_seg.inference.segmenter import choose_device
from wsi_seg.memory import bound_freed
from wsi_seg.models.bundle import ModelBundle, load_bundle
from wsi_seg.slides.lattice import Lattice, Region
from wsi_seg.slides.slide import Slide
from wsi_seg.slides.tissue import TissueMask

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from wsi_seg.inference.network import Compile, Form, Precision
    from wsi_seg.outputs.pyramid import PyramidWriter
    from wsi_seg.slides.coarse import MaskSeal
    from wsi_seg.slides.frames import Frames

CONNECT_SECONDS = 15
WINDOW_PER_THREAD = 2
"""Regions submitted for each thread: one at work, one to go on with."""

GPU = "GPU"

FORCED: dict[Form, Compile] = {"plain": "no", "compiled": "yes"}
"""A run's form is chosen once; its workers do not choose."""

QUIET = {"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "1s"}
"""Dask watches itself a hundred times a second: a twentieth of a core, and here nobody looks."""


@dataclass(frozen=True)
class RegionJob:
    """All that a worker needs to do any region of a slide; small, and pickled with each task.

    Attributes
    ----------
    slide_path, mpp
        The slide, and the resolution given for it, if any.
    levels_read : tuple of int
        The levels that the slide may be read from, as the client found.
    frames : Frames
    lattice : Lattice
    model_path : Path
    model_fingerprint : str
        A worker that finds another file there refuses.
    device, precision, form, batch_size
        As resolved by the client; device "auto" lets each worker choose its own.
    tissue_path : Path or None
        The coarse mask, as `TissueMask.save` wrote it.
    tissue_seal : MaskSeal or None
        A worker that finds another mask there refuses.
    roi_path : Path or None
        Regions of interest, as GeoJSON.
    writer : PyramidWriter
    ledger : Ledger
    """

    slide_path: Path
    mpp: float | None
    levels_read: tuple[int, ...]
    frames: Frames
    lattice: Lattice
    model_path: Path
    model_fingerprint: str
    device: str
    precision: Precision
    form: Form
    batch_size: int
    tissue_path: Path | None
    tissue_seal: MaskSeal | None
    roi_path: Path | None
    writer: PyramidWriter
    ledger: Ledger


def process_region(job: RegionJob, row: int, column: int) -> RegionRecord:
    """Do one region, where the task runs: read, segment, write its shard, put it on record.

    Raises
    ------
    WsiSegError
        If the slide, the model, the device or the output folder fails.
    """
    region = Region(job.lattice, row, column)
    pixels = _region_segmenter(job)(region)
    begin = time.perf_counter()
    files = job.writer.write_region(region.label_rect, pixels.labels, pixels.confidence)
    counts = np.bincount(pixels.labels.reshape(-1))
    record = RegionRecord(
        name=region.name,
        pixels={value: int(counts[value]) for value in counts.nonzero()[0].tolist()},
        unreadable=tuple((r.y0, r.x0, r.y1, r.x1) for r in pixels.unreadable),
        patches=pixels.patches,
        seconds={**pixels.seconds, "write": time.perf_counter() - begin},
        files=files,
    )
    job.ledger.add(record)
    return record


def run_regions(
    client: Client, job: RegionJob, regions: Iterable[Region]
) -> Generator[RegionRecord, None, None]:
    """Do regions on a cluster, at most a window of them at a time; yield their records as they finish.

    Raises
    ------
    WsiSegError
        The first error of any region; regions that were finished stay finished.
    SchedulerError
        If the cluster is lost, or a region takes every worker down that tries it.
    """
    address, threads, resources = _workers(client)
    window = WINDOW_PER_THREAD * threads
    waiting = iter(regions)

    def submit(region: Region) -> Future[RegionRecord]:
        return client.submit(process_region, job, region.row, region.column, pure=False, resources=resources)

    running = as_completed([submit(r) for r in itertools.islice(waiting, window)])
    try:
        for future in running:
            yield future.result()
            for region in itertools.islice(waiting, 1):
                running.add(submit(region))
    except KilledWorker as error:
        raise SchedulerError(
            f"{address}: a region took down every worker that tried it: "
            "give workers more memory, or a smaller --batch-size, and run again"
        ) from error
    except (CancelledError, CommClosedError, TimeoutError) as error:
        raise SchedulerError(
            f"{address}: the connection was lost: finished regions are kept, run again"
        ) from error
    finally:
        client.cancel([f for f in running.futures if not f.done()])


def probe(client: Client, device: str) -> str:
    """Ask a worker which device it would use, ``cpu`` or ``cuda``; so learn that workers can do the work.

    Raises
    ------
    DeviceError
        If workers do not have that device.
    SchedulerError
        If there are no workers, or wsi-seg is not installed where they run, or in another version.
    """
    address, _, resources = _workers(client)
    try:
        answer = client.submit(_introduce, device, pure=False, resources=resources).result(
            CONNECT_SECONDS * 4
        )
    except (ModuleNotFoundError, AttributeError) as error:
        raise SchedulerError(
            f"{address}: wsi-seg {__version__} is not installed on the workers: install it there"
        ) from error
    except (CancelledError, CommClosedError, TimeoutError) as error:
        raise SchedulerError(
            f"{address}: the workers do not answer: look after them, and run again"
        ) from error
    kind, version = answer
    if version != __version__:
        raise SchedulerError(
            f"{address}: workers have wsi-seg {version}, here is {__version__}: install the same on both"
        )
    return str(kind)


def _introduce(device: str) -> tuple[str, str]:
    return choose_device(device).type, __version__


def _workers(client: Client) -> tuple[str, int, dict[str, int] | None]:
    """Return the scheduler's address, its workers' threads, and the resources that a task is to reserve."""
    info = client.scheduler_info(n_workers=-1)
    workers = info["workers"].values()
    if not workers:
        raise SchedulerError(f"{info['address']}: no workers there: start some, and run again")
    # GPU work is held to the GPUs where workers declare them.
    has_gpus = any(w.get("resources", {}).get(GPU) for w in workers)
    return info["address"], sum(w["nthreads"] for w in workers), {GPU: 1} if has_gpus else None


@contextmanager
def local_cluster(threads: int | None) -> Iterator[Client]:
    """Start a Dask cluster of threads in this process; nothing of it is reached from other machines."""
    bound_freed()
    _silence()
    with (
        dask.config.set(QUIET),
        LocalCluster(
            n_workers=1,
            threads_per_worker=threads or min(4, (os.cpu_count() or 1) + 1),
            processes=False,
            # Dask insists on serving status pages: to this machine only, on whatever port is free.
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            memory_limit=0,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def remote_cluster(scheduler: str) -> Iterator[Client]:
    """Connect to a Dask cluster that is up, by address or by scheduler file.

    Raises
    ------
    SchedulerError
        If it cannot be reached.
    """
    _silence()
    is_file = Path(scheduler).is_file()
    try:
        client = (
            Client(scheduler_file=scheduler, timeout=CONNECT_SECONDS)
            if is_file
            else Client(scheduler, timeout=CONNECT_SECONDS)
        )
    except (OSError, TimeoutError, ValueError) as error:
        raise SchedulerError(
            f"{scheduler}: no Dask scheduler answers there: check the address (tcp://HOST:PORT) or file, "
            "or leave --scheduler out to run here"
        ) from error
    with client:
        yield client


def _silence() -> None:
    """Keep Dask's own log lines off the user's screen: what matters reaches them as an error."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)


_building = threading.Lock()


def close_job() -> None:
    """Close the slide and the model, maps and all, that this process has open for its regions."""
    with _building:
        _open_job.cache_clear()
        _open_model.cache_clear()


def _region_segmenter(job: RegionJob) -> RegionSegmenter:
    """Return this process's segmenter for a job; model and slide are opened once a process."""
    with _building:
        return _open_job(job)


@lru_cache(maxsize=1)
def _open_job(job: RegionJob) -> RegionSegmenter:
    bound_freed()
    bundle, segmenter = _open_model(
        job.model_path, job.model_fingerprint, job.device, job.precision, job.form
    )
    roi = None
    if job.roi_path is not None:
        roi = read_regions(job.roi_path, job.slide_path.name, job.frames).geometry_label
    return RegionSegmenter(
        slide=Slide(job.slide_path, job.mpp, job.levels_read),
        frames=job.frames,
        extent=Extent(
            tissue=None if job.tissue_path is None else TissueMask.load(job.tissue_path, job.tissue_seal),
            roi_label=roi,
            outside_tissue_id=bundle.schema.outside_id,
        ),
        segmenter=segmenter,
        batch_size=job.batch_size,
        confidence=job.writer.layout.confidence,
    )


@lru_cache(maxsize=1)
def _open_model(
    path: Path, fingerprint: str, device: str, precision: Precision, form: Form
) -> tuple[ModelBundle, SegmenterPool]:
    bundle = load_bundle(path)
    if bundle.fingerprint != fingerprint:
        raise ModelError(f"{path}: a worker found another model there: give all of them the same file")
    try:
        return bundle, SegmenterPool(bundle, choose_device(device), precision, FORCED[form])
    except UsageError as error:
        raise SchedulerError(f"a worker cannot run the network as the others do: {error}") from error
