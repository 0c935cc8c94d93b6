"""A small whole slide image as DICOM: one file, one level, JPEG tiles."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROOT = "1.2.826.0.1.3680043.8.498.1"
WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
LONG = frozenset({"OB", "SQ"})
UNDEFINED = 0xFFFFFFFF
ITEM, SEQUENCE_END = struct.pack("<HH", 0xFFFE, 0xE000), struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def write_dicom(path: Path, rgb: NDArray[np.uint8], mpp: float, tile: int = 128) -> Path:
    """Write a slide of 8-bit RGB; its sides need be no multiples of `tile`."""
    height, width = rgb.shape[:2]
    frames = list(_tiles(rgb, tile))
    spacing = f"{mpp / 1000:g}"
    instance = f"{ROOT}.2"
    meta = b"".join(
        (
            _element(0x0002, 0x0001, "OB", b"\0\1"),
            _element(0x0002, 0x0002, "UI", WHOLE_SLIDE),
            _element(0x0002, 0x0003, "UI", instance),
            _element(0x0002, 0x0010, "UI", JPEG_BASELINE),
            _element(0x0002, 0x0012, "UI", ROOT),
        )
    )
    measures = _item(_element(0x0028, 0x0030, "DS", f"{spacing}\\{spacing}"))
    shared = _item(_element(0x0028, 0x9110, "SQ", measures))
    content = b"".join(
        (
            _element(0x0008, 0x0008, "CS", "ORIGINAL\\PRIMARY\\VOLUME\\NONE"),
            _element(0x0008, 0x0016, "UI", WHOLE_SLIDE),
            _element(0x0008, 0x0018, "UI", instance),
            _element(0x0008, 0x0060, "CS", "SM"),
            _element(0x0020, 0x000D, "UI", f"{ROOT}.3"),
            _element(0x0020, 0x000E, "UI", f"{ROOT}.4"),
            _element(0x0020, 0x9311, "CS", "TILED_FULL"),
            _element(0x0028, 0x0002, "US", 3),
            _element(0x0028, 0x0004, "CS", "YBR_FULL_422"),
            _element(0x0028, 0x0006, "US", 0),
            _element(0x0028, 0x0008, "IS", str(len(frames))),
            _element(0x0028, 0x0010, "US", tile),
            _element(0x0028, 0x0011, "US", tile),
            _element(0x0028, 0x0100, "US", 8),
            _element(0x0028, 0x0101, "US", 8),
            _element(0x0028, 0x0102, "US", 7),
            _element(0x0028, 0x0103, "US", 0),
            _element(0x0048, 0x0006, "UL", width),
            _element(0x0048, 0x0007, "UL", height),
            _element(0x0048, 0x0303, "UL", 1),
            _element(0x5200, 0x9229, "SQ", shared),
            _pixels(frames),
        )
    )
    length = _element(0x0002, 0x0000, "UL", len(meta))
    path.write_bytes(b"\0" * 128 + b"DICM" + length + meta + content)
    return path


def _tiles(rgb: NDArray[np.uint8], tile: int) -> list[bytes]:
    """Cut a picture into tiles, row by row, and compress each; edges are filled up with the last pixels."""
    height, width = rgb.shape[:2]
    filled = np.pad(rgb, ((0, -height % tile), (0, -width % tile), (0, 0)), mode="edge")
    frames = []
    for y in range(0, height, tile):
        for x in range(0, width, tile):
            file = io.BytesIO()
            Image.fromarray(filled[y : y + tile, x : x + tile]).save(
                file, "JPEG", quality=90, subsampling="4:2:2"
            )
            frames.append(file.getvalue())
    return frames


def _element(group: int, number: int, vr: str, value: bytes | str | int) -> bytes:
    """One element of a data set, little-endian, with an explicit value representation."""
    if isinstance(value, int):
        value = struct.pack("<H" if vr == "US" else "<I", value)
    elif isinstance(value, str):
        value = value.encode() + (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
    head = struct.pack("<HH2s", group, number, vr.encode())
    return head + (struct.pack("<HI", 0, len(value)) if vr in LONG else struct.pack("<H", len(value))) + value


def _item(content: bytes) -> bytes:
    return ITEM + struct.pack("<I", len(content)) + content


def _pixels(frames: list[bytes]) -> bytes:
    """Return the pixel data: a table of offsets, and an item for each frame."""
    even = [frame + b"\0" * (len(frame) % 2) for frame in frames]
    offsets = np.concatenate([[0], np.cumsum([8 + len(frame) for frame in even])[:-1]]).astype("<u4")
    head = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, UNDEFINED)
    return head + _item(offsets.tobytes()) + b"".join(_item(frame) for frame in even) + SEQUENCE_END
