"""Digests of files, to detect files that changed since they were written."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from wsi_seg.files.plain_files import open_plain

if TYPE_CHECKING:
    from pathlib import Path

DIGEST_BYTES = 8
"""Enough against accidents; it does not protect against malice."""


def digest_of(content: bytes) -> str:
    """Return a short digest of a file's content; ``b2sum -l 64`` gives the same."""
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest()


def digest_file(path: Path) -> str:
    """Return the digest of a file.

    Raises
    ------
    OSError
        If it cannot be read, or is no regular file.
    """
    with open_plain(path) as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES)).hexdigest()


def flush(path: Path) -> None:
    """Wait until a file is stored on the disk.

    Raises
    ------
    OSError
    If it cannot be stored.
    """
    file = os.open(path, os.O_RDWR)
    try:
        os.fsync(file)
    finally:
        os.close(file)
