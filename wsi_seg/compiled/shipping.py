"""Compile the C++ sources for the processors that a wheel is for; only while a wheel is built.

Such a wheel runs the compiled kernels on machines without a compiler (`wsi_seg.compiled.carried`). GCC is
asked for: with its code the network takes 160 ms for 1024 x 1024 pixels on one thread with AVX-512, with
Clang 22's 680.

This file imports nothing but the standard library, as nothing else is installed while a wheel is built.
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
FOLDER = Path(__file__).parent / "libraries"
SOURCES = (
    PACKAGE / "inference" / "fast" / "layers",
    PACKAGE / "models" / "kernels",
    PACKAGE / "results" / "polygons" / "kernels",
    PACKAGE / "slides" / "area.cpp",
)
"""Files, and folders whose files make one library."""

OPTIONS = ("-O3", "-ffp-contract=off", "-std=c++11", "-shared", "-fPIC")
"""Nothing is fused but where the source says so: left to the compiler, it depends on the processor."""

PARALLEL = "-fopenmp"


@dataclass(frozen=True)
class Variant:
    """A kind of processor that libraries are compiled for.

    Attributes
    ----------
    name : str
    machine : str
        As Python's `platform.machine` calls it.
    options : tuple of str
        What tells GCC.
    needs : frozenset of str
        What the processor must be able to do, in the words of ``/proc/cpuinfo``.
    """

    name: str
    machine: str
    options: tuple[str, ...]
    needs: frozenset[str]


AVX2 = frozenset({"avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"})
AVX512 = AVX2 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
AMX = AVX512 | {"amx_tile", "amx_bf16"}

VARIANTS = (
    Variant("x86-64-amx", "x86_64", ("-march=x86-64-v4", "-mamx-tile", "-mamx-bf16"), AMX),
    Variant("x86-64-v4", "x86_64", ("-march=x86-64-v4",), AVX512),
    Variant("x86-64-v3", "x86_64", ("-march=x86-64-v3",), AVX2),
    Variant("armv8-a", "aarch64", ("-march=armv8-a",), frozenset({"asimd"})),
)
"""From the one that is taken first: x86-64 by the levels of its psABI, ARM of 64 bits as all of them are."""

COMPILERS = {"x86_64": "x86_64-linux-gnu-g++", "aarch64": "aarch64-linux-gnu-g++"}
"""Debian's names: ``apt install g++-aarch64-linux-gnu`` compiles for ARM on any machine."""


class ShippingError(Exception):
    """Libraries for a wheel cannot be compiled."""


def files_of(source: Path, pattern: str = "*") -> list[Path]:
    """Return a source file, or those of a folder."""
    return sorted(source.glob(pattern)) if source.is_dir() else [source]


def stem_of(source: Path, variant: Variant) -> str:
    """Return the name of the library of a source, without the hash of its content."""
    texts = [path.read_text(encoding="utf-8") for path in files_of(source)]
    made_of = chr(0).join([*texts, *OPTIONS, PARALLEL, *variant.options])
    return f"{source.stem}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}"


def name_of(stem: str, content: bytes) -> str:
    """Return the name of a library, which holds the hash of its content: one cut short is not loaded."""
    return f"{stem}-{hashlib.sha256(content).hexdigest()}.so"


def ship(machine: str, compiler: str | None = None, folder: Path = FOLDER) -> list[Path]:
    """Compile all sources for all variants of a machine, into a folder that is emptied before.

    Parameters
    ----------
    machine : str
        ``x86_64`` or ``aarch64``.
    compiler : str, optional
        A command that may have options; by default Debian's GCC for that machine.
    folder : Path

    Returns
    -------
    list of Path
        The libraries.

    Raises
    ------
    ShippingError
        If there is no such machine or compiler, or the compiler fails.
    """
    if machine not in COMPILERS:
        raise ShippingError(f"{machine}: libraries are compiled for {' and '.join(COMPILERS)}")
    command = shlex.split(compiler or COMPILERS[machine])
    if shutil.which(command[0]) is None:
        raise ShippingError(f"no compiler {command[0]}: install GCC for {machine}")
    remove(folder)
    return [
        _compile(command, source, variant, folder)
        for variant in VARIANTS
        if variant.machine == machine
        for source in SOURCES
    ]


def remove(folder: Path = FOLDER) -> None:
    """Remove the libraries, so that a wheel for all machines holds none."""
    if folder.exists():
        shutil.rmtree(folder)


def _compile(command: list[str], source: Path, variant: Variant, folder: Path) -> Path:
    place = folder / variant.name
    place.mkdir(parents=True, exist_ok=True)
    made = place / "made.so"
    options = [*OPTIONS, PARALLEL, *variant.options, "-s"]
    done = subprocess.run(
        [*command, *options, *map(str, files_of(source, "*.cpp")), "-o", str(made)], capture_output=True
    )
    if done.returncode:
        raise ShippingError(f"{command[0]} failed: {done.stderr.decode(errors='replace').strip()[-2000:]}")
    return made.rename(place / name_of(stem_of(source, variant), made.read_bytes()))
