"""The array of an OME-Zarr's level, opened after a look at what it states."""

from __future__ import annotations

import lzma
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.storage import LocalStore

from wsi_seg.errors import SlideError
from wsi_seg.slides.readers.zarr_blosc import hold_to_length
from wsi_seg.slides.readers.zarr_store import EXPORT_AGAIN, read_array_node

if TYPE_CHECKING:
    from wsi_seg.slides.readers.ngff_multiscales import NgffImage

ERRORS = (
    *(OSError, ValueError, LookupError, TypeError, RuntimeError, AssertionError, EOFError, ArithmeticError),
    *(struct.error, zlib.error, lzma.LZMAError),
)
"""What zarr and its codecs raise for chunks that are damaged or cannot be read."""

MIN_CHUNK_PIXELS = 1024
"""Of a level that has more than these, squared: each chunk is a file, or an entry of a shard."""

MAX_CHUNK_BYTES = 3 << 26
"""Of a chunk in memory, as large as the largest picture: zarr can decode no part of a chunk."""


def open_array(image: NgffImage, name: str) -> zarr.Array[Any]:
    """Open the array of a level, after checking that it holds one picture in chunks of a size."""
    path = image.group / name
    node = read_array_node(path)
    try:
        store = LocalStore(path, read_only=True)
        array = hold_to_length(zarr.open_array(store, mode="r", zarr_format=node.zarr_format))
    except ERRORS as error:
        said = " ".join(str(error).split())[:200]
        raise SlideError(f"{path}: its metadata is damaged ({said}): {EXPORT_AGAIN}") from error
    if array.ndim != len(image.axes):
        raise SlideError(f"{path}: has {array.ndim} dimensions, but {len(image.axes)} axes: {EXPORT_AGAIN}")
    for axis, length, chunk in zip(image.axes, array.shape, array.chunks, strict=True):
        if min(length, chunk) < 1:
            raise SlideError(f"{path}: holds no pixels: {EXPORT_AGAIN}")
        if axis not in ("c", "y", "x") and length > 1:
            raise SlideError(
                f"{path}: is a stack of {length} along {axis}: export one plane of it as an image of its own"
            )
    if int(np.prod(array.chunks, dtype=object)) * array.dtype.itemsize > MAX_CHUNK_BYTES:
        chunks = " x ".join(map(str, array.chunks))
        raise SlideError(
            f"{path}: its chunks of {chunks} are too large to be read one by one: store it in smaller ones"
        )
    pixels, chunk = (
        int(np.prod([n for axis, n in zip(image.axes, sides, strict=True) if axis in "xy"], dtype=object))
        for sides in (array.shape, array.chunks)
    )
    if chunk < MIN_CHUNK_PIXELS and pixels > MIN_CHUNK_PIXELS * MIN_CHUNK_PIXELS:
        raise SlideError(
            f"{path}: its chunks of {chunk} pixels are too small to be read in useful time: store larger ones"
        )
    return array
