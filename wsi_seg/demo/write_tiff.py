"""The TIFF side of generated slides: JPEG tiles, pyramid levels, truth images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import tifffile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

TILE = 256
"""Side of a tile in pixels."""

BIG_TIFF_PIXELS = 2**30
"""Slides of more pixels are written as BigTIFF: the file may grow beyond 4 GiB."""


def encode(rgb: NDArray[np.uint8], quality: int) -> list[list[bytes]]:
    """Cut pixels into JPEG tiles, row by row; tiles that reach beyond them repeat the last pixels."""
    rgb = padded(rgb, TILE)
    return [
        [_jpeg(rgb[y : y + TILE, x : x + TILE], quality) for x in range(0, rgb.shape[1], TILE)]
        for y in range(0, rgb.shape[0], TILE)
    ]


def _jpeg(tile: NDArray[np.uint8], quality: int) -> bytes:
    tile = np.ascontiguousarray(tile)
    data = imagecodecs.jpeg8_encode(tile, quality, colorspace="RGB", outcolorspace="YCBCR", subsampling="420")
    return bytes(data)


def write_level(
    tiff: tifffile.TiffWriter, tiles: Iterator[bytes], size: tuple[int, int], mpp: float, reduced: bool
) -> None:
    """Write one level of a pyramid from its encoded tiles; `reduced` marks all but the first."""
    tiff.write(
        tiles,
        shape=(size[1], size[0], 3),
        dtype=np.uint8,
        photometric="rgb",
        compression="jpeg",
        subsampling=(2, 2),
        tile=(TILE, TILE),
        resolution=(1e4 / mpp, 1e4 / mpp),
        resolutionunit="CENTIMETER",
        subfiletype=1 if reduced else 0,
        metadata=None,
    )


def write_truth(path: Path, labels: NDArray[np.uint8], mpp: float) -> None:
    """Write class ids as one uint8 image in tiles with deflate compression."""
    height, width = labels.shape

    def tiles() -> Iterator[NDArray[np.uint8]]:
        for y0 in range(0, height, TILE):
            for x0 in range(0, width, TILE):
                yield padded(np.asarray(labels[y0 : y0 + TILE, x0 : x0 + TILE]), TILE)

    with tifffile.TiffWriter(path, bigtiff=is_big((width, height))) as tiff:
        tiff.write(
            tiles(),
            shape=(height, width),
            dtype=np.uint8,
            photometric="minisblack",
            compression="zlib",
            tile=(TILE, TILE),
            resolution=(1e4 / mpp, 1e4 / mpp),
            resolutionunit="CENTIMETER",
            metadata=None,
        )


def reduce(rgb: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Average squares of `step` pixels; incomplete ones are padded with the last pixels."""
    rgb = padded(rgb, step)
    height, width = rgb.shape[0] // step, rgb.shape[1] // step
    squares = rgb.reshape(height, step, width, step, 3)
    total = squares.sum(axis=3, dtype=np.uint16).sum(axis=1, dtype=np.uint16)
    rounded: NDArray[np.uint16] = (total + step * step // 2) // (step * step)
    return rounded.astype(np.uint8)


def padded(pixels: NDArray[np.uint8], multiple: int) -> NDArray[np.uint8]:
    """Repeat the last row and column until both sides are multiples."""
    below, right = -pixels.shape[0] % multiple, -pixels.shape[1] % multiple
    if not below and not right:
        return pixels
    return np.pad(pixels, [(0, below), (0, right)] + [(0, 0)] * (pixels.ndim - 2), mode="edge")


def is_big(size: tuple[int, int]) -> bool:
    """Return whether a slide of this width and height needs BigTIFF."""
    return size[0] * size[1] > BIG_TIFF_PIXELS
