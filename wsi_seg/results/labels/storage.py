"""Zarr arrays on disk as results use them: squares of uint8, in files that are complete or absent.

zarr's `LocalStore` writes a file under another name and moves it into place, so a killed process leaves only
complete files (and possibly a stray ``*.partial``). zarr runs all its work on one event loop of its own, and
writes share no state, so different shards may be written from any threads at once.
"""

from __future__ import annotations

import asyncio
import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec
from zarr.storage import LocalStore

from wsi_seg.errors import OutputError
from wsi_seg.files.digests import digest_of, flush
from wsi_seg.files.files import replacing
from wsi_seg.results.labels.ngff_attributes import METADATA_NAMES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

    from wsi_seg.results.labels.ngff_attributes import PyramidLayout
    from wsi_seg.slides.lattice import Rect

DESCRIPTIVE = {"attributes", "dimension_names"}
"""What of an array's metadata does not decide what its files hold."""

BLOSC: dict[str, Any] = {"id": "blosc", "cname": "zstd", "clevel": 3, "shuffle": 0}


class ShardStore(LocalStore):
    """A store for writing complete chunk files; they are on the disk when the write returns.

    Chunk files are not read through it. zarr merges what it writes into an existing shard. Our shards are
    always complete, so merging would only cost time, and it would fail on a shard that a power cut left
    incomplete, which writing again is meant to repair.

    Parameters
    ----------
    root : Path
    written : dict, optional
        Receives the digest of every chunk file that is written, by its name inside the store.
    read_only : bool
    """

    def __init__(
        self, root: Path | str, written: dict[str, str] | None = None, *, read_only: bool = False
    ) -> None:
        super().__init__(root, read_only=read_only)
        self._written = written

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return metadata; for chunk files, nothing."""
        if key.rpartition("/")[-1] in METADATA_NAMES:
            return await super().get(key, prototype, byte_range)
        return None

    async def set(self, key: str, value: Buffer) -> None:
        """Write a file, and wait until it is on the disk."""
        await super().set(key, value)
        await asyncio.to_thread(flush, self.root / key)
        if self._written is not None:
            # The digest of the data in memory, not of the file: so it also detects a faulty write.
            self._written[key] = await asyncio.to_thread(digest_of, value.to_bytes())

    def write(self, key: str, content: bytes | None) -> None:
        """Do the same without an event loop; None removes the file.

        Raises
        ------
        OutputError, OSError
            If it cannot be written.
        """
        if content is None:
            (self.root / key).unlink(missing_ok=True)
            return
        with replacing(self.root / key) as partial:
            partial.write_bytes(content)
        if self._written is not None:
            self._written[key] = digest_of(content)


class SealedStore(LocalStore):
    """A store for reading an array of a finished result: a file that it must hold is never taken for absent.

    To zarr, a chunk without a file is all fill value.

    Parameters
    ----------
    root : Path
    files : collection of str
        What the array holds, by name inside the store.
    """

    def __init__(self, root: Path | str, files: Collection[str], *, read_only: bool = True) -> None:
        super().__init__(root, read_only=read_only)
        self._files = files

    def chunk_files(self) -> list[str]:
        """Return the names of the files that it must hold; of those it has, where none are stated."""
        if self._files:
            return [key for key in self._files if key.rpartition("/")[-1] not in METADATA_NAMES]
        there = (path for path in self.root.rglob("*") if path.is_file())
        return sorted(
            path.relative_to(self.root).as_posix() for path in there if path.name not in METADATA_NAMES
        )

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return a file's content, or a part of it; None where the result has no such file.

        Raises
        ------
        FileNotFoundError
            If it has, and the file is gone.
        """
        found = await super().get(key, prototype, byte_range)
        if found is None:
            self._require_absent(key)
        return found

    def read(self, key: str) -> bytes | None:
        """Do the same for a whole file, without an event loop."""
        try:
            return (self.root / key).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            self._require_absent(key)
            return None

    def _require_absent(self, key: str) -> None:
        if key in self._files:
            raise FileNotFoundError(errno.ENOENT, f"{key} is missing", str(self.root / key))


def create_array(path: Path, layout: PyramidLayout, shape: tuple[int, ...], fill_value: int) -> None:
    """Create an empty array of uint8 whose last two axes are y and x.

    Chunks and shards are squares in x and y and contain all channels. Version 0.5 uses Zstandard with
    checksums; 0.4 uses Blosc, which the Java readers of that version know.
    """
    channels = shape[:-2]
    chunks = (*channels, layout.chunk, layout.chunk)
    if layout.ngff == "0.4":
        zarr.create_array(
            path,
            shape=shape,
            dtype=np.dtype(np.uint8),
            chunks=chunks,
            compressors=BLOSC,
            fill_value=fill_value,
            zarr_format=2,
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
    else:
        zarr.create_array(
            path,
            shape=shape,
            dtype=np.dtype(np.uint8),
            chunks=chunks,
            shards=(*channels, layout.region, layout.region),
            compressors=ZstdCodec(level=1, checksum=True),
            fill_value=fill_value,
            zarr_format=3,
            dimension_names=("c", "y", "x")[-len(shape) :],
        )


def array_to_read(path: Path, files: Collection[str] = ()) -> zarr.Array[Any]:
    """Open an array for reading; `files`, by name inside it, must be there whenever they are read."""
    return zarr.open_array(SealedStore(path, files), mode="r")


def array_to_write(path: Path, written: dict[str, str] | None = None) -> zarr.Array[Any]:
    """Open an array for writing complete shards; a shard with only the fill value has no file.

    `written` receives the digest of every file that is written, by its name inside the array; without it,
    none are made.
    """
    return zarr.open_array(ShardStore(path, written), mode="r+", config={"write_empty_chunks": False})


@contextmanager
def digesting(path: Path, name: str, files: dict[str, str]) -> Iterator[zarr.Array[Any]]:
    """Open an array of a result to write complete shards; at the end `files` gets the digest of each file.

    Parameters
    ----------
    path : Path
        The result.
    name : str
        Of the array in it.
    files : dict
        Digests, by path inside the result.
    """
    written: dict[str, str] = {}
    yield array_to_write(path / name, written)
    files.update({f"{name}/{key}": digest for key, digest in written.items()})


def alike(source: zarr.Array[Any], target: zarr.Array[Any]) -> SealedStore | None:
    """Return where the files of an array lie, if another array of its pixels would have the same; else None.

    Parameters
    ----------
    source : zarr.Array
        As `array_to_read` opens it.
    target : zarr.Array
        Of the same pixels, still empty.
    """
    said = [
        {key: value for key, value in array.metadata.to_dict().items() if key not in DESCRIPTIVE}
        for array in (source, target)
    ]
    return source.store if isinstance(source.store, SealedStore) and said[0] == said[1] else None


def chunk_files(layout: PyramidLayout, rect: Rect) -> Iterator[str]:
    """Yield the names, inside a label image's array, of the files that hold a rectangle of whole chunks."""
    side, prefix = (layout.region, "c/") if layout.ngff == "0.5" else (layout.chunk, "")
    for y in range(rect.y0 // side, -(-rect.y1 // side)):
        for x in range(rect.x0 // side, -(-rect.x1 // side)):
            yield f"{prefix}{y}/{x}"


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn errors of missing, incomplete or altered Zarr files into one line with the remedy.

    Raises
    ------
    OutputError
        In place of any `OSError`, and of zarr's `ValueError` (metadata, checksums) and `RuntimeError`
        (decompression).
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        refused = isinstance(error, PermissionError)
        remedy = (
            "make it readable"
            if refused
            else "run `wsi-seg predict` again, and if that is refused, remove it first"
        )
        raise OutputError(f"{path}: cannot be read ({_reason(error)}): {remedy}") from error


def _reason(error: Exception) -> str:
    stated = error.strerror if isinstance(error, OSError) else None
    return stated or " ".join(str(error).split())
