"""Keep the C library's memory small, and return it to the system between stages."""

from __future__ import annotations

import ctypes
import os
import sys

CORES_PER_HEAP, MOST_HEAPS = 2, 4
"""Threads of one heap cannot reuse what another keeps after it is freed, and take turns at their own."""

LARGE = 16 << 20
"""Bytes. An array of this size or more gets memory of its own, which returns to the system when it is freed.
The arrays of a batch are smaller: to get their pages again each time costs system time."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of glibc's `mallopt`, from its ``malloc.h``."""


def bound_freed() -> None:
    """Limit how much freed memory the C library keeps, for all of this process.

    By default glibc opens up to eight heaps a core, one thread after another, and puts larger and larger
    arrays into them. The memory that these heaps keep then grows with the length of a run. Call this before
    threads are started: existing heaps stay. It does nothing for other C libraries, or where the environment
    sets glibc's parameters (``MALLOC_...``, ``GLIBC_TUNABLES``).
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(M_ARENA_MAX, heaps(os.cpu_count() or 1))
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_TRIM_THRESHOLD, LARGE)


def heaps(cores: int) -> int:
    """Return how many heaps all threads of a process share on a machine of so many cores."""
    return max(1, min(cores // CORES_PER_HEAP, MOST_HEAPS))


def release_freed() -> None:
    """Return freed memory to the operating system.

    The C library keeps the memory that a stage's threads have freed in heaps that other threads do not use.
    Without this, a run holds the sum of its stages instead of the largest. Only glibc needs it.
    """
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_glibc(name: str) -> ctypes._NamedFuncPointer | None:
    """Return a function of the C library, or None if it has no such function."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
