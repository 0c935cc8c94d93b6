"""Keeping the C library's memory small, and giving it back between stages."""

from __future__ import annotations

import ctypes
import os
import sys

FEWEST_HEAPS, MOST_HEAPS = 2, 4
"""For all threads together. Each keeps what was freed in it where other heaps' threads do not find it."""

LARGE = 16 << 20
"""Bytes. An array from this size on is memory of its own, which goes back to the system as it is freed. Those
of a batch are smaller: to get their pages anew each time costs the system's time."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of glibc's `mallopt`, from its ``malloc.h``."""


def bound_freed() -> None:
    """Bound what the C library keeps of memory that is freed already, for all of this process.

    By itself glibc opens eight heaps a core, one thread after another, and puts larger and larger arrays into
    them the longer a process runs. What these heaps keep then grows with the length of a run. Call it before
    threads are started: heaps that are there already stay. It does nothing for other C libraries, nor where
    the environment sets glibc's parameters (``MALLOC_...``, ``GLIBC_TUNABLES``).
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(M_ARENA_MAX, max(FEWEST_HEAPS, min(os.cpu_count() or 1, MOST_HEAPS)))
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_TRIM_THRESHOLD, LARGE)


def release_freed() -> None:
    """Give memory that is free already back to the operating system.

    The C library keeps what a stage's threads have freed, in heaps where other threads do not find it;
    without this, a run holds the sum of its stages and not the largest. Only glibc needs it.
    """
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_glibc(name: str) -> ctypes._NamedFuncPointer | None:
    """Return a function of the C library, or None where it has no such function."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
