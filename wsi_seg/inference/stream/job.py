"""The task of a worker: segment one region, or refuse if its slide, model or software is not the run's.

It is the same in a thread of this process and on another machine. Every task checks by itself, as workers may
join at any time.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import shapely
from distributed import get_worker
from PIL import Image

from wsi_seg.errors import ModelError, SchedulerError, SlideError, UsageError, WsiSegError
from wsi_seg.inference.network.choice import AS_ASKED
from wsi_seg.inference.network.devices import choose_device, kind_of
from wsi_seg.inference.network.pool import SegmenterPool
from wsi_seg.inference.stream.extent import Extent
from wsi_seg.inference.stream.ledger import Ledger, LedgerEntry
from wsi_seg.inference.stream.region import RegionSegmenter
from wsi_seg.memory import bound_freed
from wsi_seg.models.bundle import ModelBundle, held, load_bundle
from wsi_seg.slides.lattice import Lattice, Region
from wsi_seg.slides.slide import Slide
from wsi_seg.slides.tissue import TissueMask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.inference.network.choice import Form, Precision
    from wsi_seg.inference.stream.pinned import Pinned
    from wsi_seg.inference.stream.software import Software
    from wsi_seg.results.labels.pyramid import PyramidWriter
    from wsi_seg.slides.coarse import MaskSeal
    from wsi_seg.slides.frames import Frames
    from wsi_seg.slides.restain import Restaining

SAME_PATHS = "every worker needs the slide, the model and the output folder under the same paths"


@dataclass(frozen=True)
class RegionJob:
    """All that a worker needs for any region of a slide; small, and pickled with each task.

    Attributes
    ----------
    software : Software
        The client's software. A worker with other software refuses.
    slide_path, mpp, series
        The slide, and the resolution and the image given for it, if any.
    slide_fingerprint, slide_content : str
        A worker refuses if it finds another slide there.
    levels_read : tuple of int
        The levels from which the slide may be read, as found by the client.
    frames : Frames
    lattice : Lattice
    model_path : Path
    model_fingerprint : str
        A worker refuses if it finds another file there.
    device, precision, form, batch_size
        As resolved by the client.
    mark : Pinned
        A file in the output folder that belongs to this run alone. It shows that the folder is the client's,
        and that the run has not ended.
    tissue_path : Path or None
        The coarse mask, as `TissueMask.save` wrote it.
    tissue_seal : MaskSeal or None
        A worker refuses if it finds another mask there.
    restain : Restaining or None
        What is done to the slide's pixels before the network sees them.
    statistics : Pinned or None
        What the network's normalisations have in place of the model file's: see `renormalised.statistics_of`.
    roi : Pinned or None
        Regions of interest in the label frame, as WKB; the client read them from the annotations.
    writer : PyramidWriter
    ledger : Ledger
    made_from : str
        Digest of what the labels are made from, for the ledger.
    """

    software: Software
    slide_path: Path
    slide_fingerprint: str
    slide_content: str
    mpp: float | None
    series: int | None
    levels_read: tuple[int, ...]
    frames: Frames
    lattice: Lattice
    model_path: Path
    model_fingerprint: str
    device: str
    precision: Precision
    form: Form
    batch_size: int
    mark: Pinned
    tissue_path: Path | None
    tissue_seal: MaskSeal | None
    restain: Restaining | None
    statistics: Pinned | None
    roi: Pinned | None
    writer: PyramidWriter
    ledger: Ledger
    made_from: str


def process_region(job: RegionJob, row: int, column: int) -> LedgerEntry:
    """Do one region where the task runs: read it, segment it, write its shard, and add it to the ledger.

    Raises
    ------
    WsiSegError
        If the slide, the model, the software, the device or the output folder fails, or is not that of the
        job. On a cluster, the message begins with the worker's address.
    """
    with named_by_address():
        job.software.refuse_other()
        segment = _region_segmenter(job)
        region = Region(job.lattice, row, column)
        pixels = segment(region)
        segment.slide.files.refuse_changed()
        job.mark.check(_address() is not None)
        begin = time.perf_counter()
        files = job.writer.write_region(region.label_rect, pixels.labels, pixels.confidence)
        entry = LedgerEntry(
            name=region.name,
            pixels=_counted(pixels.labels),
            unreadable=tuple((r.y0, r.x0, r.y1, r.x1) for r in pixels.unreadable),
            patches=pixels.patches,
            seconds={**pixels.seconds, "write": time.perf_counter() - begin},
            files=files,
            made_from=job.made_from,
        )
        job.ledger.add(entry)
        return entry


def _counted(labels: NDArray[np.uint8]) -> dict[int, int]:
    """Count the pixels of each label value. By Pillow, as numpy would make an integer of 64 bits of each."""
    height, width = labels.shape
    counts = Image.frombuffer("L", (width, height), np.ascontiguousarray(labels)).histogram()
    return {value: count for value, count in enumerate(counts) if count}


def introduce(software: Software, device: str) -> str:
    """Return the device that a worker uses for ``device``, ``cpu`` or ``cuda``.

    Raises
    ------
    WsiSegError
        If it has other software, or lacks that device.
    """
    with named_by_address():
        software.refuse_other()
        return kind_of(choose_device(device))


@contextmanager
def named_by_address() -> Iterator[None]:
    """Put the worker's address before a task's error message; a thread of the client has no address."""
    try:
        yield
    except (WsiSegError, OSError, MemoryError) as error:
        _cut_causes(error)
        address = _address()
        if address is None:
            raise
        if isinstance(error, WsiSegError):
            raise type(error)(f"worker {address}: {error}") from error
        if isinstance(error, MemoryError):
            raise SchedulerError(
                f"worker {address}: out of memory: give it more memory or fewer threads, or use a smaller "
                "--batch-size"
            ) from error
        raise SchedulerError(f"worker {address}: {error}: repair the worker, and run again") from error


def _cut_causes(error: BaseException) -> None:
    """Cut the chain of an error's causes where one may not be unpickled: Dask would lose the error with it.

    Those are exceptions of other libraries with an ``__init__`` of their own, as zarr's are.
    """
    link = error
    while (cause := link.__cause__ or link.__context__) is not None:
        if not (isinstance(cause, WsiSegError) or hasattr(type(cause).__init__, "__objclass__")):
            link.__cause__ = link.__context__ = None
            return
        link = cause


def _address() -> str | None:
    """Return the address of a cluster's worker; None in a thread of the client."""
    try:
        address = str(get_worker().address)
    except ValueError:  # called directly, not as a task
        return None
    return None if address.startswith("inproc://") else address


_building = threading.Lock()


def close_job() -> None:
    """Close the slide and the model that this process has open for its regions."""
    with _building:
        _open_job.cache_clear()
        _open_model.cache_clear()


def _region_segmenter(job: RegionJob) -> RegionSegmenter[Slide]:
    """Return this process's segmenter for a job; each process opens model and slide once."""
    with _building:
        return _open_job(job)


@lru_cache(maxsize=1)
def _open_job(job: RegionJob) -> RegionSegmenter[Slide]:
    bound_freed()
    elsewhere = _address() is not None
    job.mark.check(elsewhere)
    slide = _open_slide(job)
    statistics = None if job.statistics is None else job.statistics.read(elsewhere)
    bundle, segmenter = _open_model(
        job.model_path, job.model_fingerprint, job.device, job.precision, job.form, statistics
    )
    roi = None
    if job.roi is not None:
        roi = shapely.from_wkb(job.roi.read(elsewhere))
    tissue = None if job.tissue_path is None else TissueMask.load(job.tissue_path, job.tissue_seal)
    return RegionSegmenter(
        slide=slide,
        frames=job.frames,
        extent=Extent(tissue=tissue, roi_label=roi, outside_tissue_id=bundle.schema.outside_id),
        segmenter=segmenter,
        batch_size=job.batch_size,
        confidence=job.writer.layout.confidence,
        restain=job.restain,
    )


def _open_slide(job: RegionJob) -> Slide:
    try:
        slide = Slide(job.slide_path, job.mpp, job.levels_read, job.series)
    except SlideError as error:
        raise SlideError(f"{error} ({SAME_PATHS})") from error
    if (slide.fingerprint, slide.files.content) != (job.slide_fingerprint, job.slide_content):
        slide.close()
        raise SlideError(
            f"{job.slide_path}: is not the slide that the run was started with: put that slide there, and "
            f"run again ({SAME_PATHS})"
        )
    return slide


@lru_cache(maxsize=1)
def _open_model(
    path: Path, fingerprint: str, device: str, precision: Precision, form: Form, statistics: bytes | None
) -> tuple[ModelBundle, SegmenterPool]:
    try:
        bundle = held(fingerprint) or load_bundle(path)
    except ModelError as error:
        raise ModelError(f"{error} ({SAME_PATHS})") from error
    if bundle.fingerprint != fingerprint:
        raise ModelError(f"{path}: a worker found another model there: give all workers the same file")
    if statistics is not None:
        from wsi_seg.models.renormalised import model_with_statistics

        bundle = model_with_statistics(bundle, statistics)
    try:
        return bundle, SegmenterPool(bundle, choose_device(device), precision, AS_ASKED[form])
    except UsageError as error:
        raise SchedulerError(f"a worker cannot run the network as the others do: {error}") from error
