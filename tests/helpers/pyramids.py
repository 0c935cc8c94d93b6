"""Slides whose levels are given one by one, good and bad ones."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]
Making = Callable[[Picture, int], Picture]


def write_pyramid(path: Path, *levels: Picture, mpp: float = 2.0) -> Path:
    """Write a tiled TIFF, level 0 first; deflate, so that pixels come back as they are."""
    with tifffile.TiffWriter(path) as tiff:
        for index, rgb in enumerate(levels):
            dots = 1e4 / mpp * rgb.shape[1] / levels[0].shape[1]
            tiff.write(
                rgb,
                tile=(128, 128),
                photometric="rgb",
                compression="deflate",
                subfiletype=1 if index else 0,
                resolution=(dots, dots),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
    return path


def mean(rgb: Picture, factor: int) -> Picture:
    """Return the mean of each factor x factor pixels."""
    width, height = rgb.shape[1] // factor, rgb.shape[0] // factor
    return np.asarray(Image.fromarray(rgb).reduce(factor, (0, 0, width * factor, height * factor)))


def nearest(rgb: Picture, factor: int) -> Picture:
    """Return one of each factor x factor pixels."""
    return rgb[: rgb.shape[0] // factor * factor : factor, : rgb.shape[1] // factor * factor : factor]


def last(rgb: Picture, factor: int) -> Picture:
    """Return the last of each factor x factor pixels, nearly a pixel off."""
    return nearest(rgb[factor - 1 :, factor - 1 :], factor)


def bicubic(rgb: Picture, factor: int) -> Picture:
    """Resize by cubic splines, to sides that are rounded up."""
    size = -(-rgb.shape[1] // factor), -(-rgb.shape[0] // factor)
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))


def jpeg(rgb: Picture, factor: int) -> Picture:
    """Compress means as JPEG of a quality that shows."""
    file = io.BytesIO()
    Image.fromarray(mean(rgb, factor)).save(file, "JPEG", quality=30)
    return np.asarray(Image.open(file))


def ycbcr(rgb: Picture, factor: int = 1) -> Picture:
    """Give YCbCr out as RGB."""
    return np.asarray(Image.fromarray(mean(rgb, factor)).convert("YCbCr"))


def grey(rgb: Picture, factor: int) -> Picture:
    """Leave the colours out."""
    return np.asarray(Image.fromarray(mean(rgb, factor)).convert("L").convert("RGB"))


def shifted(rgb: Picture, factor: int) -> Picture:
    """Shift by 16 pixels."""
    return np.roll(mean(rgb, factor), (16, 16), axis=(0, 1))


GOOD: dict[str, Making] = {
    "mean": mean,
    "nearest": nearest,
    "nearly a pixel off": last,
    "bicubic, rounded up": bicubic,
    "JPEG": jpeg,
}
BAD: dict[str, Making] = {
    "YCbCr as RGB": ycbcr,
    "BGR": lambda rgb, factor: mean(rgb, factor)[..., ::-1],
    "other channels": lambda rgb, factor: mean(rgb, factor)[..., [1, 2, 0]],
    "grey": grey,
    "inverted": lambda rgb, factor: 255 - mean(rgb, factor),
    "shifted": shifted,
    "mirrored": lambda rgb, factor: mean(rgb, factor)[:, ::-1],
    "upside down": lambda rgb, factor: mean(rgb, factor)[::-1],
    "white": lambda rgb, factor: np.full_like(mean(rgb, factor), 255),
    "black": lambda rgb, factor: np.zeros_like(mean(rgb, factor)),
}
