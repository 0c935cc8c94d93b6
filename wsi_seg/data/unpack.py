"""Bytes of annotation files, gzipped or not."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import TYPE_CHECKING

from wsi_seg.errors import AnnotationError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 2**31 - 1
"""No larger text is read: QuPath, being a Java program, could not hold it either."""


def read_unpacked(path: Path) -> tuple[bytes, bool]:
    """Read a file, and tell whether it was gzipped.

    Raises
    ------
    AnnotationError
        If it cannot be read, is damaged, or holds too much.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AnnotationError(
            f"{path}: cannot be read ({error.strerror}): give an annotation file, such as GeoJSON"
        ) from error
    if content.startswith(b"PK\x03\x04"):
        raise AnnotationError(f"{path}: is a ZIP archive: unpack it and give the annotation file inside")
    packed = content.startswith(b"\x1f\x8b")
    if packed:
        try:
            with gzip.open(io.BytesIO(content)) as file:
                content = file.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise AnnotationError(f"{path}: gzip data cut off or damaged ({error}): copy it again") from error
    if len(content) > MAX_BYTES:
        raise AnnotationError(f"{path}: holds more than 2 GiB of text: export fewer or simpler shapes")
    return content, packed
