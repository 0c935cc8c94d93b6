"""What a worker does: a region of a slide, if it has all that the run was begun with; else it refuses.

The same in a thread of this process and on a machine far away. Every task checks for itself, for workers join
when they like.
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

from wsi_seg.errors import ModelError, SchedulerError, SlideError, UsageError, WsiSegError
from wsi_seg.inference.network.pool import SegmenterPool
from wsi_seg.inference.network.segmenter import choose_device
from wsi_seg.inference.stream.extent import Extent
from wsi_seg.inference.stream.ledger import Ledger, RegionRecord
from wsi_seg.inference.stream.region import RegionSegmenter
from wsi_seg.memory import bound_freed
from wsi_seg.models.bundle import ModelBundle, load_bundle
from wsi_seg.models.given import held
from wsi_seg.slides.lattice import Lattice, Region
from wsi_seg.slides.slide import Slide
from wsi_seg.slides.tissue import TissueMask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wsi_seg.inference.network.forms import Compile, Form, Precision
    from wsi_seg.inference.stream.pinned import Pinned
    from wsi_seg.inference.stream.software import Software
    from wsi_seg.results.labels.pyramid import PyramidWriter
    from wsi_seg.slides.coarse import MaskSeal
    from wsi_seg.slides.frames import Frames

FORCED: dict[Form, Compile] = {"plain": "no", "compiled": "yes"}
"""A run's form is chosen once; its workers do not choose."""

SAME_PATHS = "every worker needs the slide, the model and the output folder under the same paths"


@dataclass(frozen=True)
class RegionJob:
    """All that a worker needs to do any region of a slide; small, and pickled with each task.

    Attributes
    ----------
    software : Software
        The client's. A worker that has other software refuses.
    slide_path, mpp, series
        The slide, and the resolution and the image given for it, if any.
    slide_fingerprint, slide_content : str
        A worker that finds another slide there refuses.
    levels_read : tuple of int
        The levels that the slide may be read from, as the client found.
    frames : Frames
    lattice : Lattice
    model_path : Path
    model_fingerprint : str
        A worker that finds another file there refuses.
    device, precision, form, batch_size
        As resolved by the client.
    mark : Pinned
        A file in the output folder that is this run's alone: it shows that the folder is the client's, and
        that the run still goes on.
    tissue_path : Path or None
        The coarse mask, as `TissueMask.save` wrote it.
    tissue_seal : MaskSeal or None
        A worker that finds another mask there refuses.
    roi : Pinned or None
        Regions of interest in the label frame, as WKB: the client has read what was drawn.
    writer : PyramidWriter
    ledger : Ledger
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
    roi: Pinned | None
    writer: PyramidWriter
    ledger: Ledger


def process_region(job: RegionJob, row: int, column: int) -> RegionRecord:
    """Do one region, where the task runs: read, segment, write its shard, put it on record.

    Raises
    ------
    WsiSegError
        If the slide, the model, the software, the device or the output folder fails, or is not that of the
        job. A worker on a cluster says its address first.
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


def introduce(software: Software, device: str) -> str:
    """Return the device that a worker uses for ``device``, ``cpu`` or ``cuda``.

    Raises
    ------
    WsiSegError
        If it has other software, or not that device.
    """
    with named_by_address():
        software.refuse_other()
        return str(choose_device(device).type)


@contextmanager
def named_by_address() -> Iterator[None]:
    """Put the worker's address before what goes wrong in a task; a thread of the client's has none."""
    try:
        yield
    except (WsiSegError, OSError, MemoryError) as error:
        address = _address()
        if address is None:
            raise
        if isinstance(error, WsiSegError):
            raise type(error)(f"worker {address}: {error}") from error
        if isinstance(error, MemoryError):
            raise SchedulerError(
                f"worker {address}: out of memory: give it more, or fewer threads, or a smaller "
                "--batch-size to all"
            ) from error
        raise SchedulerError(f"worker {address}: {error}: look after it, and run again") from error


def _address() -> str | None:
    """Return a cluster's worker's address; None in a thread of the client's."""
    try:
        address = str(get_worker().address)
    except ValueError:  # called directly, not as a task
        return None
    return None if address.startswith("inproc://") else address


_building = threading.Lock()


def close_job() -> None:
    """Close the slide and the model, maps and all, that this process has open for its regions."""
    with _building:
        _open_job.cache_clear()
        _open_model.cache_clear()


def _region_segmenter(job: RegionJob) -> RegionSegmenter[Slide]:
    """Return this process's segmenter for a job; model and slide are opened once a process."""
    with _building:
        return _open_job(job)


@lru_cache(maxsize=1)
def _open_job(job: RegionJob) -> RegionSegmenter[Slide]:
    bound_freed()
    elsewhere = _address() is not None
    job.mark.check(elsewhere)
    slide = _open_slide(job)
    bundle, segmenter = _open_model(
        job.model_path, job.model_fingerprint, job.device, job.precision, job.form
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
    )


def _open_slide(job: RegionJob) -> Slide:
    try:
        slide = Slide(job.slide_path, job.mpp, job.levels_read, job.series)
    except SlideError as error:
        raise SlideError(f"{error} ({SAME_PATHS})") from error
    if (slide.fingerprint, slide.files.content) != (job.slide_fingerprint, job.slide_content):
        slide.close()
        raise SlideError(
            f"{job.slide_path}: is another slide than the one that the run was begun with: put that one "
            f"there, and run again ({SAME_PATHS})"
        )
    return slide


@lru_cache(maxsize=1)
def _open_model(
    path: Path, fingerprint: str, device: str, precision: Precision, form: Form
) -> tuple[ModelBundle, SegmenterPool]:
    try:
        bundle = held(fingerprint) or load_bundle(path)
    except ModelError as error:
        raise ModelError(f"{error} ({SAME_PATHS})") from error
    if bundle.fingerprint != fingerprint:
        raise ModelError(f"{path}: a worker found another model there: give all of them the same file")
    try:
        return bundle, SegmenterPool(bundle, choose_device(device), precision, FORCED[form])
    except UsageError as error:
        raise SchedulerError(f"a worker cannot run the network as the others do: {error}") from error
