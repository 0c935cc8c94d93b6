"""A part of a slide in other containers, for `read.py`: the same pixels, from the slide's top left corner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import tifffile
import zarr
from dicom_levels import tiles_of, write_htj2k, write_jpeg

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
                tiles_of(page, *sides[::-1]),
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


def write_picture(source: Path, path: Path, width: int, height: int) -> None:
    """Write the top left corner of the second level as a PNG, as large as a picture may be.

    Parameters are those of `write_ome_tiff`.
    """
    with openslide.OpenSlide(source) as slide:
        sides = [min(PICTURE, int(side // slide.level_downsamples[1])) for side in (width, height)]
        image = slide.read_region((0, 0), 1, (sides[0], sides[1])).convert("RGB")
    image.save(path, compress_level=1)


def picture_mpp(source: Path) -> float:
    """Return the resolution of what `write_picture` writes, which no picture states."""
    with openslide.OpenSlide(source) as slide:
        return float(slide.properties[openslide.PROPERTY_NAME_MPP_X]) * slide.level_downsamples[1]


PICTURE = 8192
"""Sides of the picture: wsi-seg takes no larger one."""


@dataclass(frozen=True)
class Container:
    """What a part of a slide is written into.

    Attributes
    ----------
    file : str
        Its name; a folder's for Zarr, and that of one instance for DICOM.
    write : callable
        Takes the slide, the file, and the width and height of the part in level-0 pixels.
    mpp : callable, optional
        Takes the slide, and returns the resolution that is given, where the file states none. Such a file
        has no level 0 of the slide's.
    """

    file: str
    write: Callable[[Path, Path, int, int], None]
    mpp: Callable[[Path], float] | None = None


CONTAINERS = {
    "OME-TIFF in SubIFDs": Container("slide.ome.tiff", write_ome_tiff),
    "DICOM in JPEG": Container("jpeg.dicom/0.dcm", write_jpeg),
    "DICOM in HTJ2K": Container("htj2k.dicom/0.dcm", write_htj2k),
    "OME-Zarr 0.5": Container("slide.ome.zarr", write_ome_zarr),
    "PNG": Container("slide.png", write_picture, picture_mpp),
}
"""Each reader of wsi-seg reads one, in this order: tifffile, OpenSlide, wsidicom, Zarr, Pillow."""

SAME_TILES = {"TIFF", "OME-TIFF in SubIFDs", "DICOM in JPEG"}
"""Those that hold the slide's own JPEG tiles."""
