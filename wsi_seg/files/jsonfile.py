"""Read JSON files as annotation tools write them: they may be gzipped, contain NaN, or be damaged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from wsi_seg.errors import AnnotationError
from wsi_seg.files.unpack import read_unpacked

if TYPE_CHECKING:
    from pathlib import Path


class JsonFile(NamedTuple):
    """A JSON file's content.

    Attributes
    ----------
    value : object
        The parsed content.
    size : int
        Bytes of its text, uncompressed.
    packed : bool
        Whether it is gzipped.
    strict : bool
        False if it holds things that JSON does not allow but lenient readers such as QuPath accept: NaN,
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
        If the file cannot be read, or is not JSON; the message says where.
    """
    return parse_json(path, *read_unpacked(path))


def parse_json(path: Path, content: bytes, packed: bool = False) -> JsonFile:
    """Do the same as `read_json` with the bytes of a file."""
    try:
        return JsonFile(orjson.loads(content), len(content), packed, strict=True)
    except orjson.JSONDecodeError:
        return _parse_leniently(path, content, packed)


def _parse_leniently(path: Path, content: bytes, packed: bool) -> JsonFile:
    """Read JSON that is not strict, or raise an error that says what is wrong with it."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AnnotationError(
            f"{path}: not UTF-8 text (byte {error.start}): export it from QuPath again as GeoJSON"
        ) from error
    try:
        return JsonFile(orjson.loads(text), len(content), packed, strict=True)  # after a byte order mark
    except orjson.JSONDecodeError as error:
        fault = error
    try:
        return JsonFile(json.loads(text), len(content), packed, strict=False)
    except (ValueError, RecursionError):
        where = f"line {fault.lineno}, column {fault.colno}"
        remedy = "the file is cut off or damaged: export it again"
        if text.lstrip().startswith("<"):
            remedy = "it is XML, which QuPath does not read; `train` reads ASAP's, ImageScope's and HALO's"
        if "depth" in fault.msg:
            remedy = "nested too deeply to be read, export its objects side by side"
        raise AnnotationError(f"{path}: not JSON ({fault.msg}, {where}): {remedy}") from fault
