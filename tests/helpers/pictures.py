"""Small images and masks for the tests of data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from wsi_seg.models.classes import ClassSchema, TissueClass

SCHEMA = ClassSchema(
    name="tissue",
    classes=(
        TissueClass(id=0, name="Glass", color=(255, 255, 255)),
        TissueClass(id=3, name="Stroma", color=(255, 150, 255)),
        TissueClass(id=7, name="Tumour", color=(90, 90, 90)),
    ),
)
VALUES = np.array([[0, 3, 7, 255], [7, 7, 3, 0], [0, 0, 0, 3]], np.uint8)
CLASSES = np.array([[0, 1, 2, 255], [2, 2, 1, 0], [0, 0, 0, 1]], np.uint8)
"""What `VALUES` stand for in `SCHEMA`."""


def save(path: Path, pixels: np.ndarray, palette: list[int] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(palette)
    image.save(path)
    return path


def flip_bit(path: Path, at: int) -> None:
    """Flip a bit of a PNG's compressed pixels, and leave its checksums as they are."""
    content = bytearray(path.read_bytes())
    begin = content.index(b"IDAT") + 4
    size = int.from_bytes(content[begin - 8 : begin - 4], "big")
    content[begin + at % size] ^= 1 << at % 8
    path.write_bytes(content)


def save_pair(image: Path, mask: Path, values: np.ndarray = VALUES) -> None:
    save(image, np.random.default_rng(len(image.name)).integers(0, 256, (*values.shape, 3), np.uint8))
    save(mask, values)
