"""TIFFs of every make, of one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from conftest import tissue_rgb
from numpy.typing import NDArray

HEIGHT, WIDTH = 300, 420
RGB = tissue_rgb(HEIGHT, WIDTH)
PLANES = np.ascontiguousarray(np.moveaxis(RGB, 2, 0))
GREY = np.ascontiguousarray(RGB[..., 1])
PER_CM = (5000.0, 5000.0)
"""2 um per pixel."""


def write(path: Path, pixels: NDArray[Any], ome: bool = False, **options: Any) -> Path:
    """Write pixels in tiles of 128 px, at 2 um per pixel, unless the options say otherwise."""
    settings: dict[str, Any] = {
        "tile": (128, 128),
        "photometric": "minisblack",
        "compression": "deflate",
        "resolution": PER_CM,
        "resolutionunit": "CENTIMETER",
        "metadata": None,
        **options,
    }
    with tifffile.TiffWriter(path, ome=ome) as tiff:
        tiff.write(pixels, **{name: value for name, value in settings.items() if value != "leave"})
    return path


def channels(**attributes: list[Any]) -> dict[str, Any]:
    """Return OME metadata of an image with channels in planes."""
    return {"axes": "CYX", "Channel": attributes}


def halves(pixels: NDArray[Any], levels: int, rows: int = 0) -> list[NDArray[Any]]:
    """Return a picture and coarser ones, of every second pixel; `rows` is the axis of rows."""
    steps = [2**level for level in range(levels)]
    return [pixels[(slice(None),) * rows + (slice(None, None, s), slice(None, None, s))] for s in steps]


def write_pyramid(path: Path, pixels: NDArray[Any], levels: int = 3, **options: Any) -> Path:
    """Write an OME-TIFF with its coarser levels in SubIFDs, at 2 um per pixel by OME-XML alone."""
    axes = "YXS" if pixels.shape[-1] == 3 else "CYX"
    settings: dict[str, Any] = {"tile": (128, 128), "compression": "deflate"}
    settings |= {"photometric": "rgb" if axes == "YXS" else "minisblack", **options}
    size = {f"PhysicalSize{axis}": 2.0 for axis in "XY"} | {f"PhysicalSize{axis}Unit": "µm" for axis in "XY"}
    metadata = {"axes": axes, **size, **settings.pop("metadata", {})}
    first, *coarser = halves(pixels, levels, axes.index("Y"))
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(first, subifds=levels - 1, metadata=metadata, **settings)
        for level in coarser:
            tiff.write(level, subfiletype=1, metadata=None, **settings)
    return path


def write_series(path: Path, images: dict[str, NDArray[Any]], **options: Any) -> Path:
    """Write an OME-TIFF with several named images."""
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for name, pixels in images.items():
            settings: dict[str, Any] = {"tile": (128, 128), "compression": "deflate", **options}
            axes = {2: "YX", 3: "YXS" if pixels.shape[-1] == 3 else "CYX"}[pixels.ndim]
            settings["photometric"] = "rgb" if axes == "YXS" else "minisblack"
            size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
            tiff.write(pixels, metadata={"axes": axes, "Name": name, **size}, **settings)
    return path
