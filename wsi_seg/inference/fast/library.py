"""The compiled kernels of the network: the C++ files of the folder `layers`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.compiled.build import load_library, to_be_compiled
from wsi_seg.errors import KernelsError

if TYPE_CHECKING:
    import ctypes

SOURCE = Path(__file__).with_name("layers")


@cache
def load_kernels() -> ctypes.CDLL:
    """Return the compiled kernels; the first call on a machine compiles them, which takes some seconds.

    Raises
    ------
    KernelsError
        As `wsi_seg.compiled.build.load_library`, and if the processor lacks FMA instructions.
    """
    kernels = load_library(SOURCE)
    if not _fuses(kernels):
        raise KernelsError(
            "this processor does not multiply and add in one step (FMA), as compiled networks do to give the "
            "same labels everywhere"
        )
    return kernels


def kernels_to_be_compiled() -> bool:
    """Return whether the kernels must be compiled first; False if there is no place for them."""
    return to_be_compiled(SOURCE)


def has_amx() -> bool:
    """Return whether the compiled kernels can use AMX here; the system is asked for leave."""
    return bool(load_kernels().wsi_seg_multiplies())


def _fuses(kernels: ctypes.CDLL) -> bool:
    """Return whether the processor multiplies and adds in one step; in software that is slow."""
    return bool(kernels.wsi_seg_fuses())
