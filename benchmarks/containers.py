"""A part of a slide in other containers, for `read.py`: the same pixels, from the slide's top left corner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import tifffile
import zarr

BAND = 1024
"""Rows that are copied at a time."""


def write_ome_tiff(source: Path, path: Path, width: int, height: int) -> None:
    """Copy a TIFF's tiles, byte for byte, into an OME-TIFF with its levels in SubIFDs.

    Parameters
    ----------
    source : Path
        A tiled TIFF with its levels as pages.
    path : Path
        The OME-TIFF.
    width, height : int
        Of the part, in level-0 pixels.
    """
    with tifffile.TiffFile(source) as slide, tifffile.TiffWriter(path, ome=True, bigtiff=True) as tiff:
        levels = [first_page(level) for level in slide.series[0].levels]
        first = levels[0]
        mpp = 1e4 / (first.resolution[0])
        for page in levels:
            step = first.imagewidth // page.imagewidth
            sides = -(-height // step), -(-width // step)
            tiff.write(
                tiles_of(page, *sides),
                shape=(*sides, 3),
                dtype=page.dtype,
                tile=(page.tilelength, page.tilewidth),
                photometric=page.photometric,
                subsampling=page.subsampling,
                compression=page.compression,
                jpegtables=page.jpegtables,
                subifds=len(levels) - 1 if page is first else None,
                subfiletype=0 if page is first else 1,
                metadata=physical(mpp) if page is first else None,
            )


def first_page(level: tifffile.TiffPageSeries) -> tifffile.TiffPage:
    page = level.pages[0]
    assert isinstance(page, tifffile.TiffPage)
    return page


def physical(mpp: float) -> dict[str, object]:
    names = {f"PhysicalSize{axis}": mpp for axis in "XY"}
    return {"axes": "YXS", **names, **{f"{name}Unit": "µm" for name in names}}


def tiles_of(page: tifffile.TiffPage, height: int, width: int) -> Iterator[bytes]:
    """Yield a page's tiles as they are stored, those of a part in the top left corner."""
    columns = -(-page.imagewidth // page.tilewidth)
    file = page.parent.filehandle
    for row in range(-(-height // page.tilelength)):
        for column in range(-(-width // page.tilewidth)):
            index = row * columns + column
            file.seek(page.dataoffsets[index])
            yield file.read(page.databytecounts[index])


def write_ome_zarr(source: Path, path: Path, width: int, height: int) -> None:
    """Write a part of a slide as OME-Zarr 0.5, channels first, in chunks of 256 px by Zarr's own codecs.

    Parameters are those of `write_ome_tiff`.
    """
    with openslide.OpenSlide(source) as slide:
        mpp = float(slide.properties[openslide.PROPERTY_NAME_MPP_X])
        group = zarr.create_group(path, zarr_format=3)
        for level, downsample in enumerate(slide.level_downsamples):
            rows, columns = (int(-(-side // downsample)) for side in (height, width))
            array = group.create_array(
                str(level), shape=(3, rows, columns), chunks=(3, 256, 256), dtype=np.uint8
            )
            for y in range(0, rows, BAND):
                band = min(BAND, rows - y)
                image = slide.read_region((0, round(y * downsample)), level, (columns, band))
                array[:, y : y + band] = np.moveaxis(np.asarray(image.convert("RGB")), 2, 0)
        group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale(slide.level_downsamples, mpp)]}


def multiscale(downsamples: tuple[float, ...], mpp: float) -> dict[str, Any]:
    """Return NGFF metadata; a level's first pixel is centred at (step - 1) / 2 of level 0's."""
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
    datasets = []
    for level, step in enumerate(downsamples):
        shift = mpp * (step - 1) / 2
        transforms = [
            {"type": "scale", "scale": [1.0, mpp * step, mpp * step]},
            {"type": "translation", "translation": [0.0, shift, shift]},
        ]
        datasets.append({"path": str(level), "coordinateTransformations": transforms})
    return {"name": "slide", "axes": axes, "datasets": datasets}


CONTAINERS: dict[str, tuple[str, Callable[[Path, Path, int, int], None]]] = {
    "OME-TIFF in SubIFDs": ("slide.ome.tiff", write_ome_tiff),
    "OME-Zarr 0.5": ("slide.ome.zarr", write_ome_zarr),
}
"""A file's name and its writer, by what it is."""
