"""A Zarr folder on disk: what its metadata says, and which files it consists of. No pixel is decoded here.

Metadata is checked before the zarr library sees it. A codec runs code on the bytes of a chunk, and one that
unpickles them would run whatever they hold: so only the codecs listed here are let through, and only samples
that are numbers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import orjson

from wsi_seg.errors import SlideError
from wsi_seg.files.plain_files import MAX_TEXT_BYTES, read_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

JsonObject = dict[str, Any]

METADATA_NAMES = ("zarr.json", ".zattrs", ".zgroup", ".zarray")
"""Names of the files that hold metadata; a folder with any of them is a Zarr group or array."""

SUFFIX = ".zarr"
ZIPS = (".zarr.zip", ".ozx")
"""Endings of the names of Zarrs that are packed into one file."""

IMAGE, ARRAYS = "zarr.image", "zarr.arrays"
"""A slide's properties that say where in the store its image lies, and list the arrays of its levels."""

UNITLESS = "zarr.scale"
"""The property with the scale in x of an image that states no unit of length."""

CODECS_V2 = frozenset(
    {"blosc", "zstd", "lz4", "zlib", "gzip", "bz2", "lzma", "shuffle", "delta", "crc32", "crc32c", "adler32"}
    | {"fletcher32", "jenkins_lookup3"}
)
CODECS_V3 = frozenset({"bytes", "transpose", "sharding_indexed", "crc32c", "blosc", "gzip", "zstd"})
"""Codecs that give numbers back as they were; the second set is the one of the specification of Zarr 3."""

SAMPLES = ("|u1", "<u1", ">u1", "uint8", "<u2", ">u2", "uint16")
"""Kinds of samples that are read, by the names of both versions of Zarr."""

EXPORT_AGAIN = "copy or export it again"


@dataclass(frozen=True)
class Node:
    """What the metadata of a folder in a Zarr says.

    Attributes
    ----------
    kind : {"group", "array"}
    zarr_format : {2, 3}
    attributes : dict
    array : dict
        Of an array, the rest of its metadata.
    """

    kind: Literal["group", "array"]
    zarr_format: Literal[2, 3]
    attributes: JsonObject
    array: JsonObject


def is_store(path: Path) -> bool:
    """Return whether a path is a folder that is, by its metadata or its name, a Zarr."""
    if not os.path.isdir(path):
        return False
    named_so = path.suffix.lower() == SUFFIX
    return named_so or any(os.path.isfile(path / name) for name in METADATA_NAMES)


def is_zip(path: Path) -> bool:
    """Return whether a file is named like a Zarr that is packed into one file."""
    return path.name.lower().endswith(ZIPS) and os.path.isfile(path)


def read_node(folder: Path) -> Node:
    """Read the metadata of a group or an array.

    Raises
    ------
    SlideError
        If there is none, or it is damaged.
    """
    stated = _read_json(folder / "zarr.json")
    if stated is not None:
        kind: Literal["group", "array"] = "array" if stated.get("node_type") == "array" else "group"
        return Node(kind, 3, _object(stated.get("attributes")), stated)
    attributes, array = _read_json(folder / ".zattrs"), _read_json(folder / ".zarray")
    if array is not None:
        return Node("array", 2, attributes or {}, array)
    if attributes is None and _read_json(folder / ".zgroup") is None:
        raise SlideError(f"{folder}: holds no Zarr metadata (zarr.json or .zattrs): {EXPORT_AGAIN}")
    return Node("group", 2, attributes or {}, {})


def read_array_node(folder: Path) -> Node:
    """Read the metadata of an array of 8 or 16 bits that the zarr library may open.

    Raises
    ------
    SlideError
        If there is none, its samples are other numbers, or a codec is not among those that are read.
    """
    node = read_node(folder)
    if node.kind != "array":
        raise SlideError(f"{folder}: should be an array, but is a group: {EXPORT_AGAIN}")
    kind = node.array.get("dtype" if node.zarr_format == 2 else "data_type")
    if kind not in SAMPLES:
        raise SlideError(
            f"{folder}: its samples are {_shown(kind)}, not uint8 or uint16: convert it to 8 bits per channel"
        )
    known = CODECS_V2 if node.zarr_format == 2 else CODECS_V3
    other = [name for name in _codecs(node) if name not in known]
    if other:
        raise SlideError(
            f"{folder}: is stored with {', '.join(dict.fromkeys(other))}, which is not read: export it again "
            "with Zstandard, Blosc or gzip"
        )
    return node


def files_of(store: Path, image: str, arrays: Iterable[str]) -> Iterator[str]:
    """Yield all files of an image, by their names inside the store, in a fixed order: metadata comes first.

    Only names are looked at, not the files.

    Raises
    ------
    SlideError
        If a pipe, a socket or a device is among them: whoever reads it may wait for ever.
    """
    group = PurePosixPath(image)
    yield from (str(group / name) for name in METADATA_NAMES if (store / group / name).is_file())
    for array in arrays:
        yield from _files_below(store, group / array)


def _files_below(store: Path, folder: PurePosixPath) -> Iterator[str]:
    """Yield the files of a folder and those below it; links to folders are not followed."""
    files, below = [], []
    try:
        with os.scandir(store / folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    below += [] if entry.is_symlink() else [entry.name]
                    continue
                if not entry.is_file() and os.path.exists(entry):  # a broken link waits for nothing
                    raise SlideError(f"{entry.path}: is a pipe or a device, not a file: {EXPORT_AGAIN}")
                files.append(entry.name)
    except OSError:
        return  # its chunks are reported when they cannot be read
    yield from (str(folder / file) for file in sorted(files))
    for name in sorted(below):
        yield from _files_below(store, folder / name)


def _codecs(node: Node) -> list[str]:
    """Return the names of all codecs of an array, those inside of shards included."""
    stated = node.array
    if node.zarr_format == 2:
        listed = [stated.get("compressor"), *_list(stated.get("filters"))]
        return [_shown(_object(codec).get("id")) for codec in listed if codec is not None]
    names = [f"storage transformer {_shown(_name(t))}" for t in _list(stated.get("storage_transformers"))]
    left = _list(stated.get("codecs"))
    while left:
        codec = left.pop(0)
        names.append(_shown(_name(codec)))
        inner = _object(_object(codec).get("configuration"))
        left = [*left, *_list(inner.get("codecs")), *_list(inner.get("index_codecs"))]
    return names


def _name(codec: object) -> object:
    return codec if isinstance(codec, str) else _object(codec).get("name")


def _read_json(path: Path) -> JsonObject | None:
    """Read a JSON object; None if there is no such file."""
    try:
        content = orjson.loads(read_plain(path, MAX_TEXT_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SlideError(f"{path}: cannot be read ({error.strerror}): {EXPORT_AGAIN}") from error
    except orjson.JSONDecodeError as error:
        raise SlideError(f"{path}: is no JSON ({error.msg}): {EXPORT_AGAIN}") from error
    if not isinstance(content, dict):
        raise SlideError(f"{path}: is no Zarr metadata: {EXPORT_AGAIN}")
    return content


def _object(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _shown(value: object) -> str:
    return str(value)[:80]
