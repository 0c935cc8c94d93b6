"""Devices by name, and what PyTorch has here, found without importing it as far as that can be.

To import PyTorch takes more time than to segment a small slide, which compiled kernels do without it.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from wsi_seg.errors import DeviceError, UsageError

NO_GPUS = re.compile(r"^(?:cuda|hip|xpu)\b[^=\n]*= None$", re.MULTILINE)
"""What a build of PyTorch says in its ``version.py`` of each kind of device that it has no code for."""

VERSION = re.compile(r"^__version__ = '([^']+)'$", re.MULTILINE)

NEEDS_GPU = "--precision float16 needs a GPU: use float32 or bfloat16"
"""Of a network that PyTorch runs."""

KINDS = 3
DRIVERS = ("libcuda.so.1", "nvcuda.dll", "libamdhip64.so")


class OutOfDeviceMemoryError(Exception):
    """The device has no memory for a batch."""


def choose_device(name: str) -> str:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` into the name of an available device.

    Raises
    ------
    UsageError
        If the name is none of these.
    DeviceError
        If there is no such device.
    """
    if name == "cpu" or (name == "auto" and not may_have_gpu()):
        return "cpu"
    kind, _, number = name.partition(":")
    if name != "auto" and (kind != "cuda" or (number and not number.isdigit())):
        raise UsageError(f"no device named {name!r}: use auto, cpu, cuda or cuda:N")
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not torch.cuda.is_available():
        raise DeviceError(
            f"{name}: no GPU that PyTorch can use here: use --device cpu (see `wsi-seg doctor`)"
        )
    if number and int(number) >= torch.cuda.device_count():
        raise DeviceError(f"{name}: there are {torch.cuda.device_count()} GPUs here, counted from 0")
    return name


def kind_of(device: str) -> str:
    """Return ``cpu`` or ``cuda`` for the name of a device."""
    return device.partition(":")[0]


def may_have_gpu() -> bool:
    """Return whether PyTorch might find a GPU; False only where it has no code for any, or no driver is."""
    stated = _stated()
    return stated is None or (len(NO_GPUS.findall(stated)) < KINDS and any(map(_loads, DRIVERS)))


def torch_version() -> str:
    """Return the version of PyTorch, with the build's suffix."""
    found = VERSION.search(_stated() or "")
    if found is not None:
        return found[1]
    import torch

    return str(torch.__version__)


def computing_cores() -> int:
    """Return on how many cores to compute: as many as PyTorch does, or would, once imported."""
    torch = sys.modules.get("torch")
    if torch is not None:
        count: int = torch.get_num_threads()
        return count
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len({_siblings(number) for number in os.sched_getaffinity(0)})
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return min(int(asked), cores) if asked.isdigit() and int(asked) else cores


def _siblings(number: int) -> str:
    """Return the processors that share a core with one, as Linux names them."""
    try:
        return Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list").read_text()
    except OSError:
        return str(number)


@cache
def _stated() -> str | None:
    """Return what PyTorch's ``version.py`` holds; None if it is not where it should be."""
    found = find_spec("torch")
    if found is None or found.origin is None:
        return None
    try:
        return Path(found.origin).with_name("version.py").read_text(encoding="utf-8")
    except OSError:
        return None


@cache
def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
