"""Read JSON files as annotation tools write them: perhaps gzipped, perhaps with NaN, perhaps broken."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from wsi_seg.errors import AnnotationError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 2**31 - 1
"""No larger text is read: QuPath, being a Java program, could not hold it either."""


class JsonFile(NamedTuple):
    """A JSON file's content.

    Attributes
    ----------
    value : object
        What the file holds.
    size : int
        Bytes of its text, unpacked.
    packed : bool
        Whether it is gzipped.
    strict : bool
        False if it holds what JSON does not allow but lenient readers, QuPath's among them, take: NaN,
        infinities, half characters.
    """

    value: Any
    size: int
    packed: bool
    strict: bool


def read_json(path: Path) -> JsonFile:
    """Read a JSON file, whatever its name.

    Raises
    ------
    AnnotationError
        If the file cannot be read, or is no JSON; the message says where.
    """
    packed, content = _unpacked(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AnnotationError(
            f"{path}: not UTF-8 text (byte {error.start}): export it from QuPath again as GeoJSON"
        ) from error
    try:
        return JsonFile(orjson.loads(text), len(content), packed, strict=True)
    except orjson.JSONDecodeError as error:
        fault = error
    try:
        return JsonFile(json.loads(text), len(content), packed, strict=False)
    except (ValueError, RecursionError):
        where = f"line {fault.lineno}, column {fault.colno}"
        raise AnnotationError(
            f"{path}: not JSON ({fault.msg}, {where}): the file is cut off or damaged, export it again"
        ) from fault


def _unpacked(path: Path) -> tuple[bool, bytes]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror}): give a GeoJSON file") from error
    if content.startswith(b"PK\x03\x04"):
        raise AnnotationError(f"{path}: is a ZIP archive: unpack it and give the GeoJSON file inside")
    packed = content.startswith(b"\x1f\x8b")
    if packed:
        try:
            with gzip.open(io.BytesIO(content)) as file:
                content = file.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise AnnotationError(f"{path}: gzip data cut off or damaged ({error}): copy it again") from error
    if len(content) > MAX_BYTES:
        raise AnnotationError(f"{path}: holds more than 2 GiB of text: export fewer or simpler shapes")
    return packed, content
