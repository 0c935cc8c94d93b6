"""Write files completely or not at all."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import tempfile
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from wsi_seg.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PARTIAL = ".partial"
"""The end of the names of incomplete files and folders. They begin with a dot, and may be removed at any
time."""

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""Errors of file systems without locks, such as NFS mounted without them."""

REMEDIES = {
    errno.ENOSPC: "free space there",
    errno.EDQUOT: "free space there",
    errno.EFBIG: "allow larger files, for example with `ulimit -f unlimited`",
    errno.ENOENT: "check that its folder exists and stays",
    errno.EEXIST: "name another folder, as a file is in its place",
    errno.ENOTDIR: "name another folder, as a file is in its place",
    errno.EISDIR: "name a file, not a folder",
}
"""Remedies for errors of the file system; for all others, another folder."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to; then move the written file to `path` in one step, once it is on the disk.

    At any time, `path` holds the old content or the new. Folders are made as needed.

    Raises
    ------
    OutputError
        In place of any `OSError`.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}{PARTIAL}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            with partial.open("r+b") as file:
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def making(path: Path) -> Iterator[Path]:
    """Yield a path to make a folder at; then move it to `path` in one step.

    Whoever writes its files sees that they are on the disk. At any time, `path` holds nothing or all. What
    killed runs left of the same folder is removed first.

    Raises
    ------
    OutputError
        In place of any `OSError`, as where `path` has come to hold something else meanwhile.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}{PARTIAL}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_partial(path.parent, f"{glob.escape(path.name)}.*")
        try:
            yield partial
            partial.rename(path)
        finally:
            remove(partial)


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be written to or made, before long work begins; nothing is made.

    Raises
    ------
    OutputError
        If it or a parent is a file, or the existing part of it is not writable.
    """
    for path in (folder, *folder.absolute().parents):
        with writing(path):
            if path.is_dir():
                _refuse_unwritable(path)
                return
            if path.exists():
                raise OutputError(f"{path}: is a file, not a folder to write to: name another with -o")


def _refuse_unwritable(folder: Path) -> None:
    if os.access(folder, os.W_OK | os.X_OK):
        return
    read_only = hasattr(os, "statvfs") and os.statvfs(folder).f_flag & os.ST_RDONLY
    number = errno.EROFS if read_only else errno.EACCES
    raise OSError(number, os.strerror(number))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn errors of the file system into one line with the remedy.

    Raises
    ------
    OutputError
        In place of any `OSError`.
    """
    try:
        yield
    except OSError as error:
        number = errno.ENOENT if isinstance(error, FileNotFoundError) else error.errno or 0
        remedy = REMEDIES.get(number, "make the folder writable, or name another")
        reason = error.strerror or " ".join(str(error).split())
        raise OutputError(
            f"{path}: cannot be written ({reason}): {remedy}, and run the same command again"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, completely or not at all.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def check_writable(path: Path) -> None:
    """Make sure that a file can be written, before long work begins; its folder is made.

    Raises
    ------
    OutputError
        If it cannot.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=PARTIAL):
            pass


def remove_partial(folder: Path, name: str = "*", deep: bool = False) -> None:
    """Remove incomplete files of killed runs from a folder.

    `name` is a pattern for the names of the complete files. If `deep`, those of an OME-Zarr are removed, from
    all of its folders: names of zarr's own do not begin with a dot.
    """
    with writing(folder):
        for stray in list(folder.rglob(f"*{PARTIAL}") if deep else folder.glob(f".{name}{PARTIAL}")):
            remove(stray)


def remove(path: Path) -> None:
    """Remove a file, a folder with its content, or a link but not its target, if it exists.

    Raises
    ------
    OSError
        If it cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def move(path: Path, to: Path) -> None:
    """Rename a file or folder; a link keeps its target.

    Raises
    ------
    OSError
        If it cannot be moved.
    """
    if path.is_symlink():
        to.symlink_to(path.resolve())
        path.unlink()
    else:
        path.rename(to)


@contextmanager
def locked(folder: Path, work: Path) -> Iterator[None]:
    """Lock a folder against other runs; the lock ends with the process, however that ends.

    Parameters
    ----------
    folder : Path
        The folder as the user names it, for errors.
    work : Path
        Place of the lock, inside the folder.

    Raises
    ------
    OutputError
        If another run works there, the file system has no locks, or the folder cannot be written.
    """
    try:
        work.mkdir(parents=True, exist_ok=True)
        # The library's other kind of lock would outlive a killed process.
        lock = FileLock(work / "lock", fallback_to_soft=False)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OutputError(f"{folder}: another run writes here: wait for it, or use -o") from error
    except OSError as error:
        if error.errno in NO_LOCKS:
            raise OutputError(
                f"{folder}: its file system has no locks ({error.strerror}), which keep two runs apart: "
                "choose a folder on another file system with -o, or mount NFS with locks"
            ) from error
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror}): make it writable, or choose another with -o"
        ) from error
    try:
        yield
    finally:
        lock.release()
