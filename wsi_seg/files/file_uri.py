"""URIs of files, as other programs store them: on this machine or another one, on Windows or not."""

from __future__ import annotations

import os
import platform
import posixpath
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

DRIVE = re.compile(r"/([A-Za-z]):(?=/|$)")
"""A Windows drive at the start of a URI's path."""


def path_of_uri(uri: str) -> str:
    """Return the absolute path that a file URI names, with slashes between its parts.

    Parameters
    ----------
    uri : str
        ``file:/home/a.svs``, ``file:///C:/a%20b.svs``, ``file://server/share/a.svs``; or an absolute path.

    Returns
    -------
    str
        ``/home/a.svs``, ``/C:/a b.svs``, ``//server/share/a.svs``.

    Raises
    ------
    ValueError
        If it names no file: in words that follow the name of what refers to it.
    """
    try:
        parts = urlsplit(uri)
        path = unquote(parts.path, errors="strict")
    except ValueError as error:  # of a server's name, or of bytes that are not UTF-8
        raise ValueError("has a URI that cannot be read") from error
    if parts.scheme not in ("", "file"):
        raise ValueError(f"is read by {parts.scheme}:, and not from a file")
    if parts.netloc and parts.netloc != "localhost":
        path = f"//{parts.netloc}{path}"
    if not path.startswith("/") or parts.query or parts.fragment or "\0" in path:
        raise ValueError("has a URI that names no file")
    return DRIVE.sub(lambda drive: f"/{drive[1].upper()}:", path, count=1)


def local_path(path: str) -> Path:
    """Return the path on this machine.

    A Windows path leads into the drives where Linux on Windows (WSL) has them, and elsewhere to no file.
    """
    drive = DRIVE.match(path)
    if drive is None:
        return Path(path)
    if os.name == "nt":
        return Path(path[1:])
    if "microsoft" in platform.release().lower():
        return Path(f"/mnt/{drive[1].lower()}{path[drive.end() :]}")
    return Path(path)


def in_words(path: str) -> str:
    """Return the path as its own machine shows it, but with slashes: ``C:/a b.svs``."""
    return path[1:] if DRIVE.match(path) else path


def moved_path(path: str, before: str, now: Path) -> Path | None:
    """Return the path that a file has now, if it was moved together with a folder.

    Parameters
    ----------
    path : str
        What `path_of_uri` returned for the file.
    before : str
        The folder's path then, likewise.
    now : Path
        The folder's path now.

    Returns
    -------
    Path or None
        None if no relative path leads from the folder to the file: they lay on different drives.
    """
    if _root(path) != _root(before):
        return None
    return Path(
        posixpath.normpath(posixpath.join(now.absolute().as_posix(), posixpath.relpath(path, before)))
    )


def _root(path: str) -> str:
    """Return the drive, or the server and its share, that a path begins with; empty for all others."""
    drive = DRIVE.match(path)
    if drive is not None:
        return drive[0]
    return "/".join(path.split("/")[:4]) if path.startswith("//") else ""
