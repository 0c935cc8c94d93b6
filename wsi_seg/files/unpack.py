"""Bytes of annotation files, gzipped or not."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

from wsi_seg.errors import AnnotationError
from wsi_seg.files.plain_files import in_words, open_plain, read_plain

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 2**31 - 1
"""Larger texts are not read: QuPath, a Java program, could not hold them either."""

MAX_RATIO = 100
"""Largest ratio to which a gzipped file may inflate: real ones reach 15, tiles of one class written with
indents 42; gzip can reach 1000."""

ALWAYS_BYTES = 64 * 2**20
"""Any file may inflate to this size, as the smallest ones compress best."""

CHUNK = 2**20


def read_unpacked(path: Path) -> tuple[bytes, bool]:
    """Read a file, and return whether it was gzipped.

    Raises
    ------
    AnnotationError
        If it cannot be read, is damaged, or holds too much.
    """
    try:
        with open_plain(path) as file:
            start = file.read(4)
        if start.startswith(b"PK\x03\x04"):
            raise AnnotationError(f"{path}: is a ZIP archive: unpack it and give the annotation file inside")
        packed = start.startswith(b"\x1f\x8b")
        return (_inflated(path) if packed else read_plain(path, MAX_BYTES)), packed
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise AnnotationError(f"{path}: gzip data cut off or damaged ({error}): copy it again") from error
    except OSError as error:
        raise AnnotationError(
            f"{path}: cannot be read ({error.strerror}): give an annotation file, such as GeoJSON"
        ) from error


def _inflated(path: Path) -> bytes:
    """Inflate a gzipped file, after measuring its inflated size without holding the content."""
    limit = min(MAX_BYTES, max(ALWAYS_BYTES, MAX_RATIO * path.stat().st_size))
    size = 0
    with open_plain(path) as file, gzip.open(file) as inflated:
        while piece := inflated.read(CHUNK):
            size += len(piece)
            if size > limit:
                raise AnnotationError(
                    f"{path}: inflates to more than {in_words(limit)}, which is too much for outlines: "
                    "unpack it if it "
                    "is sound, or export fewer or simpler shapes"
                )
    with open_plain(path) as file, gzip.open(file) as inflated:
        return inflated.read(size)
