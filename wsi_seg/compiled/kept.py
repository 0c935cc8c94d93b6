"""Compiled libraries, kept where no other user can write, and looked at before they are loaded.

To load a library is to run it. So none is loaded but from a folder that belongs to this user, or to root, and
that nobody else may write to; the same holds for the file. A folder of this user's that others may write to
is closed to them and emptied first. The folder is opened once, and all in it is
reached through that: whoever may write to a folder above it may put another in its place, but can neither
make a folder of this user's nor change what is in one, so the folders above need not be looked at. POSIX
access lists that let others write show in the mode; those of NFSv4 do not, and are not looked for.

A library's name ends in its SHA-256. That is against accidents, such as a full disk or a copy cut short; what
keeps other people out is the owners and modes. The file is opened once: what was checked and hashed is what
is loaded, through ``/proc/self/fd``. Where there is no ``/proc``, as on macOS, it is loaded by its path.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import stat
import tempfile
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.errors import KernelsError
from wsi_seg.files.files import PARTIAL

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE_VARIABLE = "WSI_SEG_CACHE"
REMEDY = f"name a folder for kernels alone, in which nobody else may write, with {CACHE_VARIABLE}"

SUFFIX = ".so"
ROOT = 0
FOLDER_MODE, LIBRARY_MODE = 0o700, 0o644
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

KERNELS = "kernels"
OURS = (f"{KERNELS}-", f".{KERNELS}-", tempfile.gettempprefix())
"""How the names of all begin that is put into the folder: libraries, parts of them, compilers' work."""


def is_kept(folder: Path, stem: str) -> bool:
    """Return whether there is a library that `load_kept` would load; raises the same errors."""
    with _sound_library(folder, stem) as library:
        return library is not None


def load_kept(folder: Path, stem: str) -> ctypes.CDLL | None:
    """Load a library that `keep` has kept; None if none is whole and beyond others' reach.

    Parameters
    ----------
    folder : Path
        Need not be there.
    stem : str
        The library's name without the hash.

    Raises
    ------
    KernelsError
        If others may write to the folder.
    OSError
        If it cannot be read, or a whole library not loaded, as from a file system that runs no programs.
    """
    with _sound_library(folder, stem) as library:
        if library is None:
            return None
        name, file = library
        if not Path(f"/proc/self/fd/{file}").exists():
            return ctypes.CDLL(str(folder / name))
        # A loader knows libraries by their names, and this one must not come to mean another file: the
        # descriptor stays open as long as the process.
        lasting = os.dup(file)
        try:
            return ctypes.CDLL(f"/proc/self/fd/{lasting}")
        except OSError:
            os.close(lasting)
            raise


def make_folder(folder: Path) -> None:
    """Make a folder that only this user may enter, unless it is there already.

    Raises
    ------
    KernelsError
        If others may write to it.
    OSError
        If it cannot be made or read.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    with _held(folder):
        pass


def keep(folder: Path, stem: str, made: Path) -> None:
    """Keep a newly compiled library; it replaces any other of its name.

    Raises
    ------
    KernelsError
        If others may write to the folder, or the library was not made by this user.
    OSError
        If it cannot be written.
    """
    with _held(folder) as held:
        file = _open(str(made))
        try:
            if os.fstat(file).st_uid != os.geteuid():
                raise KernelsError(f"{made}: not made by this user, and not loaded: {REMEDY}")
            content = _content(file)
        finally:
            os.close(file)
        name = _name(stem, content)
        _write(f".{name}.{uuid.uuid4().hex[:12]}{PARTIAL}", name, held, content)
        for other in _named(held, stem):
            if other != name:
                _remove(other, held)


@contextmanager
def _held(folder: Path) -> Iterator[int]:
    """Open a folder, and see that nobody else may write to it.

    A folder of this user's with nothing but kernels in it, as it is made under umask 002, is closed to
    others, and no library stays that was there while they could write.
    """
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        state = os.fstat(held)
        if state.st_uid not in _trusted_owners():
            raise KernelsError(
                f"{folder}: belongs to another user ({state.st_uid}), so no compiled kernels are kept there: "
                f"{REMEDY}"
            )
        if state.st_mode & OTHERS_WRITE and _is_for_kernels(held):
            _close_to_others(held)
        elif state.st_mode & OTHERS_WRITE:
            raise KernelsError(
                f"{folder}: others may write to it (mode {stat.S_IMODE(state.st_mode):o}), so no compiled "
                f"kernels are kept there: {REMEDY}"
            )
        yield held
    finally:
        os.close(held)


def _is_for_kernels(held: int) -> bool:
    """Return whether an open folder is this user's and holds only our files; `/tmp` never does."""
    state = os.fstat(held)
    own = state.st_uid == os.geteuid() and not state.st_mode & stat.S_ISVTX
    return own and all(name.startswith(OURS) for name in os.listdir(held))


def _close_to_others(held: int) -> None:
    _remove_libraries(held)  # before as well: a kill in between leaves none in a folder that looks safe
    os.fchmod(held, FOLDER_MODE)
    _remove_libraries(held)


def _remove_libraries(held: int) -> None:
    for name in _named(held, KERNELS):
        _remove(name, held)


@contextmanager
def _sound_library(folder: Path, stem: str) -> Iterator[tuple[str, int] | None]:
    """Open the library if it may be loaded and matches its name, else return None."""
    if not folder.exists():
        yield None
        return
    with _held(folder) as held:
        library = next(_sound_libraries(held, stem), None)
        try:
            yield library
        finally:
            if library is not None:
                os.close(library[1])


def _sound_libraries(held: int, stem: str) -> Iterator[tuple[str, int]]:
    for name in _named(held, stem):
        file = _open(name, held)
        if _is_trusted(file) and name == _name(stem, _content(file)):
            yield name, file
        else:
            os.close(file)


def _is_trusted(file: int) -> bool:
    """Return whether an open file is a regular one that only this user or root can have written."""
    state = os.fstat(file)
    plain = stat.S_ISREG(state.st_mode)
    return plain and state.st_uid in _trusted_owners() and not state.st_mode & OTHERS_WRITE


def _trusted_owners() -> set[int]:
    return {ROOT, os.geteuid()}


def _named(held: int, stem: str) -> list[str]:
    """List the libraries of a name in an open folder, whatever they hold."""
    return sorted(name for name in os.listdir(held) if name.startswith(f"{stem}-") and name.endswith(SUFFIX))


def _name(stem: str, content: bytes) -> str:
    return f"{stem}-{hashlib.sha256(content).hexdigest()}{SUFFIX}"


def _open(name: str, held: int | None = None) -> int:
    """Open a file, in an open folder if one is given; no link is followed, and no pipe waited for."""
    return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=held)


def _content(file: int) -> bytes:
    with os.fdopen(os.dup(file), "rb") as opened:
        return opened.read()


def _write(partial: str, name: str, held: int, content: bytes) -> None:
    """Write a file into an open folder, completely or not at all."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(partial, flags, LIBRARY_MODE, dir_fd=held), "wb") as new:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
        os.rename(partial, name, src_dir_fd=held, dst_dir_fd=held)
    except OSError:
        _remove(partial, held)
        raise


def _remove(name: str, held: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=held)
