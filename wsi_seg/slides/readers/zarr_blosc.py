"""Blosc chunks are held against the length that they state, before they are decoded.

The library decodes as many bytes as a chunk's header states, whether they are there or not: of a chunk that
was cut, as by a copy that did not end, it reads other memory. That gives wrong pixels, or ends the process.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numcodecs
import zarr
from zarr.codecs import BloscCodec, ShardingCodec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer

HEADER = 16
"""Bytes before a chunk's data; the last four state the length of both."""


class WholeBlosc(numcodecs.Blosc):  # type: ignore[misc]  # is not typed
    """Zarr 2's Blosc, for chunks that are whole."""

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the decoded bytes; raise ValueError for a chunk that was cut."""
        refuse_cut(buf)
        return super().decode(buf, out)


class WholeBloscCodec(BloscCodec):
    """Zarr 3's Blosc, for chunks that are whole."""

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        refuse_cut(chunk_bytes.as_numpy_array())
        return await super()._decode_single(chunk_bytes, chunk_spec)


def refuse_cut(chunk: Any) -> None:
    """Raise ValueError if a Blosc chunk, any buffer, is shorter than its header states."""
    stored = memoryview(chunk).cast("B")
    if len(stored) < HEADER or len(stored) < int.from_bytes(stored[12:HEADER], "little"):
        raise ValueError(f"a Blosc chunk of {len(stored)} bytes is shorter than it states")


def hold_to_length(array: zarr.Array[Any]) -> zarr.Array[Any]:
    """Return the array, read with the codecs above in place of the library's own."""
    metadata: Any = array.metadata
    if metadata.zarr_format == 2:
        filters = metadata.filters and tuple(_whole_v2(codec) for codec in metadata.filters)
        metadata = replace(metadata, compressor=_whole_v2(metadata.compressor), filters=filters)
    else:
        metadata = replace(metadata, codecs=_whole_v3(metadata.codecs))
    return zarr.Array(zarr.AsyncArray(metadata=metadata, store_path=array.store_path))


def _whole_v2(codec: Any) -> Any:
    if not isinstance(codec, numcodecs.Blosc):
        return codec
    return WholeBlosc(**{name: value for name, value in codec.get_config().items() if name != "id"})


def _whole_v3(codecs: Iterable[Any]) -> tuple[Any, ...]:
    """Return codecs with those of Blosc replaced, in shards too."""
    whole: list[Any] = []
    for codec in codecs:
        if isinstance(codec, ShardingCodec):
            whole.append(replace(codec, codecs=_whole_v3(codec.codecs)))
        elif isinstance(codec, BloscCodec):
            whole.append(WholeBloscCodec.from_dict(codec.to_dict()))
        else:
            whole.append(codec)
    return tuple(whole)
