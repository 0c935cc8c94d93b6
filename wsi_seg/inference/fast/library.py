"""The compiled kernels of the network: one C++ file, `kernels.cpp`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.compiled.build import load_library, to_be_compiled
from wsi_seg.errors import KernelsError

if TYPE_CHECKING:
    import ctypes

SOURCE = Path(__file__).with_name("kernels.cpp")


@cache
def load_kernels() -> ctypes.CDLL:
    """Return the compiled kernels; the first time on a machine they are compiled, in some seconds.

    Raises
    ------
    KernelsError
        Those of `wsi_seg.compiled.build.load_library`, and if the processor lacks what results are made with.
    """
    kernels = load_library(SOURCE)
    if not _fuses(kernels):
        raise KernelsError(
            "this processor does not multiply and add in one step (FMA), as compiled networks do to give the "
            "same labels everywhere"
        )
    return kernels


def kernels_to_be_compiled() -> bool:
    """Whether the kernels are to be compiled first; not, where there is no place for them."""
    return to_be_compiled(SOURCE)


def _fuses(kernels: ctypes.CDLL) -> bool:
    """Whether the processor multiplies and adds in one step; else that is done in software, and slowly."""
    return bool(kernels.wsi_seg_fuses())
