"""Giving memory back between stages."""

from __future__ import annotations

import ctypes
import sys


def release_freed() -> None:
    """Give memory that is free already back to the operating system.

    The C library keeps what a stage's threads have freed, in a heap for each thread, where other threads do
    not find it; without this, a run holds the sum of its stages and not the largest. Only glibc needs it.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
