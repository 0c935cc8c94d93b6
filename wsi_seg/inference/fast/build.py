"""Compiling the kernels for the machine they run on, once.

There is one C++ file, `kernels.cpp`, without any dependency. Whoever has a C++ compiler gets a faster
network; nobody needs one. The library is kept in the user's cache, and made again when the source, the
compiler's options or the processor are others.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from wsi_seg.errors import WsiSegError

SOURCE = Path(__file__).with_name("kernels.cpp")
CACHE_VARIABLE = "WSI_SEG_CACHE"
COMPILERS = ("c++", "g++", "clang++")
OPTIONS = ("-O3", "-march=native", "-std=c++11", "-shared", "-fPIC")
PARALLEL = "-fopenmp"
COMPILE_SECONDS = 120
"""A compiler that takes longer is given up; this one takes 3 to 10."""


class KernelsError(WsiSegError):
    """Why the kernels can't be compiled or loaded here, in a few words. Caught: it costs speed only."""


@cache
def load_kernels() -> ctypes.CDLL:
    """Return the compiled kernels; the first time on a machine they are compiled, in some seconds.

    Raises
    ------
    KernelsError
        If there is no compiler, or it fails.
    """
    library = _cached_path()
    try:
        if not library.exists():
            library.parent.mkdir(parents=True, exist_ok=True)
            _compile(library)
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise KernelsError(f"{library}: {error}") from error


def kernels_are_there() -> bool:
    """Whether the kernels were compiled before."""
    return _cached_path().exists()


def cache_folder() -> Path:
    """Return the folder for what is made once a machine."""
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wsi-seg"


def _cached_path() -> Path:
    # A home folder may be shared by machines with different processors.
    made_for = [SOURCE.read_text(encoding="utf-8"), *OPTIONS, os.environ.get("CXX", ""), _processor()]
    name = hashlib.sha256("\0".join(made_for).encode()).hexdigest()[:16]
    return cache_folder() / f"kernels-{name}.so"


def _processor() -> str:
    """Describe what the processor can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    abilities = (line for line in lines if line.startswith(("flags", "Features")))
    return next(abilities, platform.machine())


def _compile(library: Path) -> None:
    """Compile to a temporary name first, so that several processes may do so at a time."""
    compiler = find_compiler()
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        made = Path(folder) / "kernels.so"
        for parallel in ((PARALLEL,), ()):  # Apple's Clang has no OpenMP: one thread a network, then
            command = [compiler, *OPTIONS, *parallel, str(SOURCE), "-o", str(made)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise KernelsError(f"{compiler} took more than {COMPILE_SECONDS} s") from error
            if done.returncode == 0:
                made.replace(library)
                return
    first = next((line for line in done.stderr.splitlines() if "error" in line), "no message")
    raise KernelsError(f"{compiler} failed: {first.strip()}")


def find_compiler() -> str:
    """Return the C++ compiler that there is.

    Raises
    ------
    KernelsError
        If there is none.
    """
    if given := os.environ.get("CXX"):
        if shutil.which(given) is None:
            raise KernelsError(f"no C++ compiler {given!r}, which CXX names")
        return given
    for name in COMPILERS:
        if found := shutil.which(name):
            return found
    raise KernelsError(f"no C++ compiler ({', '.join(COMPILERS)})")
