"""Read the files that users name: only regular files, and only up to a size limit.

A pipe or a device may never end, and opening one can wait for ever. So anything but a regular file is refused
before it is opened. The error is an `OSError`, so that each reader can name its own remedy.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

SPECIAL = {
    stat.S_IFDIR: "is a folder",
    stat.S_IFIFO: "is a pipe, not a file",
    stat.S_IFSOCK: "is a socket, not a file",
    stat.S_IFCHR: "is a device, not a file",
    stat.S_IFBLK: "is a device, not a file",
}

MAX_TEXT_BYTES = 16 * 2**20
"""Limit for a file that people write, such as a recipe, a class schema or a list of slides."""


def check_plain(path: Path) -> None:
    """Make sure that a path names a regular file, without opening it.

    Raises
    ------
    OSError
        If it does not exist, or is a folder, a pipe, a socket or a device; or if the name, or that of a
        parent folder, is not UTF-8: records, tables and QuPath's files could not hold it.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise OSError(errno.EILSEQ, "its name or a folder's is not UTF-8: rename it", str(path)) from None
    _refuse_special(path, path.stat())


def special_in(folder: Path) -> OSError | None:
    """Return the error of a pipe, a socket or a device in a folder, named with its path; None if it has none.

    For folders of which a library opens files by itself. Subfolders are not looked into; a folder that cannot
    be listed is left to the library to report.
    """
    try:
        with os.scandir(folder) as entries:
            others = sorted(entry.path for entry in entries if not entry.is_file() and not entry.is_dir())
    except OSError:
        return None
    for path in others:
        try:
            _refuse_special(path, os.stat(path))
        except FileNotFoundError:  # a broken link, which nothing waits for
            continue
        except OSError as error:
            return error
    return None


def open_plain(path: Path) -> BufferedReader:
    """Open a regular file to read its bytes.

    Raises
    ------
    OSError
        If it cannot be opened, or is a folder, a pipe, a socket or a device.
    """
    check_plain(path)
    # The file may have been exchanged since: do not wait for a pipe.
    file = open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb")  # noqa: SIM115
    try:
        _refuse_special(path, os.fstat(file.fileno()))
    except OSError:
        file.close()
        raise
    return file


def read_plain(path: Path, limit: int) -> bytes:
    """Read a regular file.

    Parameters
    ----------
    path : Path
    limit : int
        Largest allowed size in bytes.

    Raises
    ------
    OSError
        If it cannot be read, is not a regular file, or is larger.
    """
    with open_plain(path) as file:
        # Files of the operating system's kernel state no size.
        content = file.read(limit + 1) if os.fstat(file.fileno()).st_size <= limit else None
    if content is None or len(content) > limit:
        raise OSError(errno.EFBIG, f"holds more than {in_words(limit)}", str(path))
    return content


def read_plain_text(path: Path, encoding: str = "utf-8") -> str:
    """Read a text file that people write.

    Raises
    ------
    OSError
        If it cannot be read, is not a regular file, or is larger than `MAX_TEXT_BYTES`.
        UnicodeDecodeError
        If it is not UTF-8 text.
    """
    return read_plain(path, MAX_TEXT_BYTES).decode(encoding)


def in_words(size: int) -> str:
    """Return a number of bytes in words: "16 MiB"."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size} bytes"


def _refuse_special(path: Path | str, state: os.stat_result) -> None:
    if not stat.S_ISREG(state.st_mode):
        what = SPECIAL.get(stat.S_IFMT(state.st_mode), "is not a file")
        raise OSError(errno.EINVAL, what, str(path))
