"""Shortages are told from errors, by number, by type and by word."""

from __future__ import annotations

import errno
import os
import resource

import pytest

from wsi_seg.errors import DeviceError, OutputError, SlideError
from wsi_seg.shortage import Shortage, check_memory, shortage


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "lack"),
    [
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), Shortage.FILES),
        (caused(OutputError("a.zarr: cannot be written"), OSError(errno.ENFILE, "")), Shortage.FILES),
        (caused(SlideError("a.svs: damaged"), RuntimeError("open: Too many open files")), Shortage.FILES),
        (RuntimeError("can't start new thread"), Shortage.THREADS),
        (BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)), Shortage.THREADS),
        (MemoryError(), Shortage.MEMORY),
        (ImportError("x.so: failed to map segment from shared object"), Shortage.MEMORY),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), Shortage.MEMORY),
        (caused(DeviceError("cpu: out of memory: a smaller batch"), MemoryError()), None),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), None),
        (SlideError("a.svs: damaged"), None),
    ],
)
def test_a_shortage_is_difference_to_an_error_or_what_it_comes_from(
    error: Exception, lack: Shortage | None
) -> None:
    assert shortage(error) == lack


def test_an_error_that_is_its_own_context_is_looked_at_once() -> None:
    error, other = ValueError("a"), ValueError("b")
    error.__context__, other.__context__ = other, error
    assert shortage(error) is None


def test_a_limit_that_libraries_do_not_survive_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (700_000 << 10, -1))
    with pytest.raises(DeviceError, match=r"is allowed \(700000 kB by `ulimit -v`\): allow"):
        check_memory()
    for enough in (4_000_000 << 10, resource.RLIM_INFINITY):
        monkeypatch.setattr(resource, "getrlimit", lambda _, enough=enough: (enough, -1))
        check_memory()
