"""Writing files whole or not at all."""

from __future__ import annotations

import errno
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
"""How the names of files and folders end that are not whole; they begin with a dot, and may be removed at any
time."""

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What file systems answer that know no locks, as NFS mounted without."""

REMEDIES = {
    errno.ENOSPC: "free space there",
    errno.EDQUOT: "free space there",
    errno.EFBIG: "allow larger files, as by `ulimit -f unlimited`",
    errno.ENOENT: "see that its folder is there and stays",
}
"""What helps against what the file system refuses; else another folder does."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to, and move what was written to `path`, in one step, once it is on the disk.

    Whatever happens meanwhile, `path` holds the old content or the new. Folders are made as needed.

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


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be written to or made, before long work is done for it; nothing is made.

    Raises
    ------
    OutputError
        If it is a file or is to lie in one, or what is there of it is not writable.
    """
    for path in (folder, *folder.absolute().parents):
        with writing(path):
            if path.is_dir():
                _refuse_unwritable(path)
                return
            if path.exists():
                raise OutputError(f"{path}: is a file, and no folder to write to: name another with -o")


def _refuse_unwritable(folder: Path) -> None:
    if os.access(folder, os.W_OK | os.X_OK):
        return
    read_only = hasattr(os, "statvfs") and os.statvfs(folder).f_flag & os.ST_RDONLY
    number = errno.EROFS if read_only else errno.EACCES
    raise OSError(number, os.strerror(number))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into one line with the remedy.

    Raises
    ------
    OutputError
        In place of any `OSError`.
    """
    try:
        yield
    except OSError as error:
        remedy = REMEDIES.get(error.errno or 0, "make the folder writable or name another")
        reason = error.strerror or " ".join(str(error).split())
        raise OutputError(
            f"{path}: cannot be written ({reason}): {remedy}, and run the same command again"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, whole or not at all.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def check_writable(path: Path) -> None:
    """Make sure that a file can be written before long work is done for it; its folder is made.

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
    """Remove what killed runs left unfinished in a folder, and in those below if `deep`.

    `name` is a pattern of what was being written.
    """
    with writing(folder):
        for stray in list((folder.rglob if deep else folder.glob)(f".{name}{PARTIAL}")):
            remove(stray)


def remove(path: Path) -> None:
    """Remove a file, a folder with all that is in it, or a link, but not what that leads to; or nothing.

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
    """Give a file or folder another name; a link goes on to lead where it leads.

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
    """Keep other runs out of a folder; the lock ends with the process, however that ends.

    Parameters
    ----------
    folder : Path
        What the user calls it.
    work : Path
        Where the lock lies, inside the folder.

    Raises
    ------
    OutputError
        If another run is at work there, the file system has no locks, or the folder cannot be written.
    """
    try:
        work.mkdir(parents=True, exist_ok=True)
        # Its other kind of lock would outlive a process that is killed.
        lock = FileLock(work / "lock", fallback_to_soft=False)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OutputError(f"{folder}: another run writes here: wait for it, or use -o") from error
    except OSError as error:
        if error.errno in NO_LOCKS:
            raise OutputError(
                f"{folder}: its file system has no locks ({error.strerror}), which keep two runs apart: "
                "choose a folder on another with -o, or have NFS mounted with locks"
            ) from error
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror}): mend that, or choose another with -o"
        ) from error
    try:
        yield
    finally:
        lock.release()
