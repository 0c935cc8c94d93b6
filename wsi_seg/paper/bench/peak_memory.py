"""Memory: how much there is, how much a computation uses, and errors when it is full."""

from __future__ import annotations

import gc
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from wsi_seg.errors import DeviceError
from wsi_seg.memory import release_freed
from wsi_seg.paper.bench.missing import Missing
from wsi_seg.paper.bench.timing import OutOfMemoryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsi_seg.paper.bench.missing import Reading

CPU_SHARE = 0.5
"""Share of the free memory that a batch may use on a CPU. A system without free memory kills programs,
whereas a GPU only refuses."""

STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MEMINFO = Path("/proc/meminfo")


class PeakMemory:
    """Peak memory of work on a device, above the memory in use when this was made.

    On a GPU: the memory of PyTorch's allocator for tensors. On a CPU: the process's resident memory, on Linux
    only.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        gc.collect()
        self._floor: int | None
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
            self._floor = torch.cuda.memory_allocated(device)
            return
        release_freed()
        if CLEAR_REFS.exists():
            CLEAR_REFS.write_text("5")
        self._floor = _status("VmRSS")

    def read(self) -> Reading:
        """Return bytes."""
        if self._device.type == "cuda":
            peak: int | None = torch.cuda.max_memory_allocated(self._device)
        else:
            peak = _status("VmHWM")
        if peak is None or self._floor is None:
            return Missing("this system does not report a process's peak memory")
        return float(max(peak - self._floor, 0))


def fits(device: torch.device, needed: int) -> bool:
    """Return whether this many bytes may be requested; on a GPU they always may."""
    free = None if device.type == "cuda" else _kilobytes(MEMINFO, "MemAvailable")
    return free is None or needed <= CPU_SHARE * free


@contextmanager
def running_out() -> Iterator[None]:
    """Turn PyTorch's errors about full memory into `OutOfMemoryError`."""
    try:
        yield
    except DeviceError as error:  # already described by the segmenter
        raise OutOfMemoryError from error
    except (RuntimeError, MemoryError) as error:
        # On a CPU PyTorch raises a plain RuntimeError.
        if isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error):
            raise OutOfMemoryError from None
        raise


def _status(field: str) -> int | None:
    return _kilobytes(STATUS, field)


def _kilobytes(path: Path, field: str) -> int | None:
    """Read a figure of Linux in bytes; None if there is none."""
    if not path.exists():
        return None
    found = re.search(rf"^{field}:\s+(\d+) kB$", path.read_text(), re.MULTILINE)
    return 1024 * int(found[1]) if found else None
