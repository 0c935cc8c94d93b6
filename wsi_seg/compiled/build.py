"""Compile a C++ file, or a folder of them, for the machine that it runs on, once.

Such a file has no dependency. A wheel may carry the library (`wsi_seg.compiled.carried`); where none fits,
whoever has a C++ compiler gets a faster program, and nobody needs one. What is compiled is kept in the user's
cache (`wsi_seg.compiled.kept`), and made again when the source, the compiler's options or the processor are
others, or it is damaged.
"""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.compiled.carried import find_shipped, load_shipped, processor_line
from wsi_seg.compiled.kept import CACHE_VARIABLE, KERNELS, is_kept, keep, load_kept, make_folder
from wsi_seg.compiled.shipping import OPTIONS, PARALLEL, files_of
from wsi_seg.errors import KernelsError

if TYPE_CHECKING:
    import ctypes

COMPILERS = ("c++", "g++", "clang++")
NATIVE = "-march=native"
COMPILE_SECONDS = 120
"""A compiler that takes longer is given up; this one takes 3 to 10."""

FULL = (errno.ENOSPC, errno.EDQUOT)
DISK_FULL = ("No space left", "Disk quota exceeded")
NEEDED_BYTES = 4 << 20
"""What a compiler and the library take; where there is less, the disk is why it failed."""

NOT_MAPPED = "failed to map segment"
"""What the C library says of a file system that is mounted with `noexec`; there is no number for it."""


def load_library(source: Path) -> ctypes.CDLL:
    """Return a compiled C++ file: the wheel's, or one that is compiled here, once, in some seconds.

    A compiler that the user names with `CXX` is used in place of the wheel's library.

    Parameters
    ----------
    source : Path
        The file, or a folder whose files make one library.

    Raises
    ------
    KernelsError
        If there is no compiler, it fails, or there is no place to keep what it makes or none that others
        cannot write to.
    """
    if not _is_named() and (shipped := load_shipped(source)) is not None:
        return shipped
    if not hasattr(os, "geteuid"):
        raise KernelsError(
            "this system does not tell who may write to a file: no compiled kernels are loaded"
        )
    folder = cache_folder()
    try:
        return _loaded(folder, source)
    except OSError as error:
        reason = error.strerror or str(error)
        if NOT_MAPPED in reason:
            raise KernelsError(
                f"{folder}: programs cannot be run from there, so compiled kernels cannot be loaded: name "
                f"another folder with {CACHE_VARIABLE}"
            ) from error
        if error.errno in FULL:
            raise _disk_full(folder) from error
        if error.errno is None:
            raise KernelsError(
                f"{folder}: compiled kernels cannot be loaded ({reason}): repair the compiler, or name "
                "another "
                "compiler with CXX"
            ) from error
        raise KernelsError(
            f"{folder}: compiled kernels cannot be kept there ({reason}): make it writable, or name "
            f"another folder with {CACHE_VARIABLE}"
        ) from error


def to_be_compiled(source: Path) -> bool:
    """Whether a file is to be compiled first; not, where there is no place for the library."""
    try:
        if not _is_named() and find_shipped(source) is not None:
            return False
        return not is_kept(cache_folder(), _stem(source))
    except (OSError, KernelsError):
        return False


def _is_named() -> bool:
    """Whether the user names a compiler."""
    return bool(os.environ.get("CXX"))


def cache_folder() -> Path:
    """Return the folder for what is made once a machine.

    Raises
    ------
    KernelsError
        If the user has no home folder, as in some containers, and named no other.
    """
    try:
        if given := os.environ.get(CACHE_VARIABLE):
            return Path(given).expanduser()
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wsi-seg"
    except RuntimeError as error:
        raise KernelsError(
            f"this user has no home folder for compiled kernels: name a folder with {CACHE_VARIABLE}"
        ) from error


def _stem(source: Path) -> str:
    """Return the library's name, but for its hash."""
    # A home folder may be shared by machines with different processors.
    texts = [path.read_text(encoding="utf-8") for path in files_of(source)]
    made_for = [*texts, *OPTIONS, NATIVE, os.environ.get("CXX", ""), _processor()]
    return f"{KERNELS}-{hashlib.sha256(chr(0).join(made_for).encode()).hexdigest()[:16]}"


def _processor() -> str:
    """Describe what the processor can do."""
    return processor_line() or f"{platform.machine()} {platform.processor()}"


def _loaded(folder: Path, source: Path) -> ctypes.CDLL:
    """Load the library, and make it first if none is there that may be loaded and is whole."""
    stem = _stem(source)
    if (library := load_kept(folder, stem)) is None:
        make_folder(folder)
        _compile(folder, stem, source)
        library = load_kept(folder, stem)
    if library is None:
        raise KernelsError(f"{folder}: what was compiled was gone or changed at once: try again")
    return library


def _compile(folder: Path, stem: str, source: Path) -> None:
    """Compile to a temporary name first, so that several processes may do so at a time."""
    compiler = find_compiler()
    with tempfile.TemporaryDirectory(dir=folder) as private:
        made = Path(private) / "kernels.so"
        for parallel in ((PARALLEL,), ()):  # Apple's Clang has no OpenMP: one thread a network, then
            command = [
                *compiler,
                *OPTIONS,
                NATIVE,
                *parallel,
                *map(str, files_of(source, "*.cpp")),
                "-o",
                str(made),
            ]
            try:
                done = subprocess.run(
                    command,
                    capture_output=True,
                    timeout=COMPILE_SECONDS,
                    env={**os.environ, "TMPDIR": private},  # one disk is written to, which can be named
                )
            except subprocess.TimeoutExpired as error:
                raise KernelsError(
                    f"{compiler[0]} took more than {COMPILE_SECONDS} s: install another compiler"
                ) from error
            if done.returncode == 0:
                keep(folder, stem, made)
                return
        raise _failed(folder, compiler[0], done.stderr.decode(errors="replace"))


def _failed(folder: Path, compiler: str, said: str) -> KernelsError:
    """Describe in one line why a compiler failed, as far as it is known."""
    if any(words in said for words in DISK_FULL) or shutil.disk_usage(folder).free < NEEDED_BYTES:
        return _disk_full(folder)
    lines = said.split("\n")
    first = next((line for line in lines if "error" in line), " ".join(lines[-3:]))
    return KernelsError(
        f"{compiler} failed ({first.strip() or 'without a word'}): repair it, or install another"
    )


def _disk_full(folder: Path) -> KernelsError:
    return KernelsError(
        f"{folder}: its disk is full, so kernels cannot be compiled there: free some MB, or name another "
        f"folder with {CACHE_VARIABLE}"
    )


def find_compiler() -> list[str]:
    """Return the command of the C++ compiler that there is; `CXX` may name options, or `ccache`, as well.

    Raises
    ------
    KernelsError
        If there is none.
    """
    if given := os.environ.get("CXX"):
        command = _words(given)
        if not command or shutil.which(command[0]) is None:
            raise KernelsError(
                f"no C++ compiler {given!r}, which CXX names: name another, or none (`unset CXX`)"
            )
        return command
    for name in COMPILERS:
        if found := shutil.which(name):
            return [found]
    raise KernelsError(f"no C++ compiler ({', '.join(COMPILERS)}): install one (Debian: apt install g++)")


def _words(command: str) -> list[str]:
    """Split a command as a shell does; one that is there as it is may have blanks in its path."""
    if shutil.which(command):
        return [command]
    try:
        return shlex.split(command)
    except ValueError:  # a quotation mark without its other
        return []
