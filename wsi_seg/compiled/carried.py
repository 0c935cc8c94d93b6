"""The libraries that a wheel carries, so that nobody needs a compiler: the best one that the processor runs.

They lie in the package beside its Python files, and are trusted as those are: whoever may change the one may
change the other. A library's name holds the hash of its source and of its content, so one of another version
of the source, or cut short, is not loaded; then it is compiled, as where a wheel carries none.
"""

from __future__ import annotations

import ctypes
import platform
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.compiled import shipping
from wsi_seg.compiled.shipping import VARIANTS, Variant, name_of, stem_of

if TYPE_CHECKING:
    from collections.abc import Iterator

CPUINFO = Path("/proc/cpuinfo")


def processor_line() -> str | None:
    """Return the line in which Linux says what the processor can do; None elsewhere."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line for line in lines if line.startswith(("flags", "Features"))), None)


def find_shipped(source: Path) -> Path | None:
    """Return the library of a source that this processor runs, the fastest first; None if there is none."""
    for variant in _variants_here():
        stem = stem_of(source, variant)
        for path in sorted((shipping.FOLDER / variant.name).glob(f"{stem}-*.so")):
            if path.name == name_of(stem, path.read_bytes()):
                return path
    return None


def load_shipped(source: Path) -> ctypes.CDLL | None:
    """Load the library of a source that a wheel carries; None if none fits, or it cannot be loaded here."""
    path = find_shipped(source)
    if path is None:
        return None
    with suppress(OSError):
        return ctypes.CDLL(str(path))
    with suppress(OSError):  # of a file system that runs no programs, or an older system: it is compiled then
        _load_openmp()
        return ctypes.CDLL(str(path))
    return None


def _variants_here() -> Iterator[Variant]:
    line = processor_line()
    abilities = frozenset() if line is None else frozenset(line.partition(":")[2].split())
    machine = platform.machine()
    return (one for one in VARIANTS if one.machine == machine and one.needs <= abilities)


@cache
def _load_openmp() -> None:
    """Load the OpenMP library that PyTorch brings along: the system may have none."""
    torch = find_spec("torch")
    for folder in [] if torch is None else torch.submodule_search_locations or []:
        for path in Path(folder, "lib").glob("libgomp*"):
            ctypes.CDLL(str(path))
