from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wsi_seg.inference.stream.cluster import local_cluster
from wsi_seg.memory import heaps

ARRAY = 16 << 20


class Mallinfo2(ctypes.Structure):
    """As glibc's malloc.h has it."""

    _fields_ = (
        ("arena", ctypes.c_size_t),
        ("ordblks", ctypes.c_size_t),
        ("smblks", ctypes.c_size_t),
        ("hblks", ctypes.c_size_t),
        ("hblkhd", ctypes.c_size_t),
        ("rest", ctypes.c_size_t * 5),
    )


def mapped() -> int:
    """Bytes that glibc has given out as memory of its own, outside of its heaps."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Mallinfo2
    return int(mallinfo2().hblkhd)


needs_glibc = pytest.mark.skipif(
    sys.platform != "linux"
    or not hasattr(ctypes.CDLL(None), "mallinfo2")
    or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ),
    reason="needs a glibc that keeps to its own settings",
)


def mapped_for(size: int) -> list[int]:
    """Bytes that glibc gives out outside of its heaps for an array, three times in turn."""
    grown = []
    with local_cluster(1):
        for _ in range(3):
            before = mapped()
            array = np.ones(size, dtype=np.uint8)
            grown.append(mapped() - before)
            del array
    return grown


@needs_glibc
def test_large_arrays_of_a_run_stay_out_of_the_heaps() -> None:
    # By itself, glibc takes to the heaps whatever is as large as what was freed before. This runs in a
    # process of its own, as an array may lie in what other tests have left free.
    code = "from test_memory import ARRAY, mapped_for; print(min(mapped_for(ARRAY)) >= ARRAY)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["True"], done.stderr


@needs_glibc
def test_arrays_of_a_batch_do_not_get_their_pages_anew_each_time() -> None:
    assert mapped_for(ARRAY // 2) == [0, 0, 0]


@pytest.mark.parametrize(("cores", "expected"), [(1, 1), (2, 1), (3, 1), (4, 2), (8, 4), (64, 4)])
def test_two_cores_share_a_heap(cores: int, expected: int) -> None:
    assert heaps(cores) == expected
