"""One picture, with the levels that it is given, in every container that slides come in."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pydicom
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.sequence import Sequence

from helpers.dicom_slides import NATIVE, RLE, Written, write_level
from helpers.tiff_pages import page_of

Picture = NDArray[np.uint8]
"""Shape (height, width, 3)."""

L = TypeVar("L")

Mpp = tuple[float, float] | None
"""Micrometres per pixel in x and y, or none stated."""

TILE = 128


@dataclass(frozen=True)
class Container:
    """A way to store a picture without loss.

    Attributes
    ----------
    name : str
    write : callable
        Takes a folder, levels from the finest on, the resolution and a unit of it; returns the slide's path.
    decode : callable
        Level 0 as another program reads it, from the path.
    units : tuple of str
        Those that the resolution may be stated in; none where it cannot be stated.
    squared : bool
        Whether it can state only one resolution for x and y.
    flat : bool
        Whether it holds level 0 alone.
    spoil : callable or None
        Overwrites a tile of level 0, at a row and a column, so that it cannot be decoded; None where any
        bytes are pixels, or where there are no tiles.
    omit : callable or None
        Leaves a tile of level 0 out.
    """

    name: str
    write: Callable[[Path, list[Picture], Mpp, str], Path]
    decode: Callable[[Path], Picture]
    units: tuple[str, ...]
    squared: bool = False
    flat: bool = False
    spoil: Callable[[Path, int, int], None] | None = None
    omit: Callable[[Path, int, int], None] | None = None

    def make(self, folder: Path, levels: list[Picture], mpp: Mpp = (2.0, 2.0), unit: str = "") -> Path:
        """Write a slide into a folder of its own."""
        folder.mkdir(parents=True)
        return self.write(folder, levels, mpp, unit or next(iter(self.units), ""))

    def levels_of(self, levels: list[L]) -> list[L]:
        """Return the levels that it holds of those given."""
        return levels[:1] if self.flat else levels


def copy_slide(path: Path, folder: Path) -> Path:
    """Copy a slide, with the folder that holds all of it."""
    shutil.copytree(path.parent, folder)
    return folder / path.name


def _tiff_options(mpp: Mpp, step: int, unit: str) -> dict[str, Any]:
    if mpp is None:
        return {"resolutionunit": "NONE"}
    um = {"cm": 1e4, "inch": 25_400.0}[unit]
    dots = um / (mpp[0] * step), um / (mpp[1] * step)
    return {"resolution": dots, "resolutionunit": {"cm": "CENTIMETER", "inch": "INCH"}[unit]}


def write_pages(folder: Path, levels: list[Picture], mpp: Mpp, unit: str) -> Path:
    """Write a tiled TIFF with its levels in pages of their own."""
    path = folder / "slide.tiff"
    with tifffile.TiffWriter(path) as tiff:
        for index, rgb in enumerate(levels):
            step = levels[0].shape[1] // rgb.shape[1]
            options = _tiff_options(mpp, step, unit)
            _write(tiff, rgb, subfiletype=int(index > 0), metadata=None, **options)
    return path


def write_svs(folder: Path, levels: list[Picture], mpp: Mpp, unit: str) -> Path:
    """Write what Aperio's scanners write, but for the compression."""
    path = folder / "slide.svs"
    with tifffile.TiffWriter(path) as tiff:
        for rgb in levels:
            size = f"{rgb.shape[1]}x{rgb.shape[0]}"
            words = [f"Aperio Image Library v11.2.1 \r\n{size} ({TILE}x{TILE}) RAW", "AppMag = 20"]
            if mpp is not None:
                assert mpp[0] == mpp[1]
                words.append(f"MPP = {mpp[0]:g}")
            _write(tiff, rgb, description="|".join(words), metadata=None)
    return path


def _ome(
    name: str, axes: str, arranged: Callable[[Picture], Picture], **options: Any
) -> Callable[[Path, list[Picture], Mpp, str], Path]:
    """Return a writer of OME-TIFFs with their levels in SubIFDs."""

    def write(folder: Path, levels: list[Picture], mpp: Mpp, unit: str) -> Path:
        path = folder / f"{name}.ome.tiff"
        metadata: dict[str, Any] = {"axes": axes}
        if mpp is not None:
            for axis, um in zip("XY", mpp, strict=True):
                metadata[f"PhysicalSize{axis}"] = um / {"µm": 1, "nm": 1e-3, "mm": 1e3}[unit]
                metadata[f"PhysicalSize{axis}Unit"] = unit
        with tifffile.TiffWriter(path, ome=True) as tiff:
            for index, rgb in enumerate(levels):
                of_first = {"subifds": len(levels) - 1, "metadata": metadata}
                more = of_first if index == 0 else {"subfiletype": 1, "metadata": None}
                _write(tiff, arranged(rgb), **{**options, **more})
        return path

    return write


def _write(tiff: tifffile.TiffWriter, pixels: Picture, **options: Any) -> None:
    settings = {"tile": (TILE, TILE), "photometric": "rgb", "compression": "deflate", **options}
    tiff.write(pixels, **settings)


def planes(rgb: Picture) -> Picture:
    """Return a picture as planes, shape (3, height, width)."""
    return np.ascontiguousarray(np.moveaxis(rgb, 2, 0))


def decode_tiff(path: Path) -> Picture:
    """Return level 0 as tifffile reads it."""
    pixels = np.asarray(tifffile.imread(path, series=0, level=0))
    return pixels if pixels.shape[-1] == 3 else np.moveaxis(pixels, 0, 2)


def _segment(page: tifffile.TiffPage, row: int, column: int) -> int:
    return row * -(-page.imagewidth // TILE) + column


def spoil_tiff(path: Path, row: int, column: int) -> None:
    """Overwrite a tile of the first page."""
    with tifffile.TiffFile(path) as tiff:
        page = page_of(tiff, 0)
        tile = _segment(page, row, column)
        offset, count = page.dataoffsets[tile], page.databytecounts[tile]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\x5a" * count)


def omit_tiff(path: Path, row: int, column: int) -> None:
    """Leave a tile of the first page out."""
    with tifffile.TiffFile(path, mode="r+") as tiff:
        page = page_of(tiff, 0)
        tile = _segment(page, row, column)
        for name in ("TileOffsets", "TileByteCounts"):
            tag = page.tags[name]
            tag.overwrite([0 if i == tile else value for i, value in enumerate(tag.value)])


def _zarr(version: str, channels_last: bool = False) -> Callable[[Path, list[Picture], Mpp, str], Path]:
    """Return a writer of OME-Zarr of a version of NGFF."""

    def write(folder: Path, levels: list[Picture], mpp: Mpp, unit: str) -> Path:
        path = folder / "slide.ome.zarr"
        group = zarr.create_group(path, zarr_format=2 if version == "0.4" else 3)
        spatial = [{"name": axis, "type": "space", **({"unit": unit} if mpp else {})} for axis in "yx"]
        channel = [{"name": "c", "type": "channel"}]
        datasets = []
        for index, rgb in enumerate(levels):
            pixels = rgb if channels_last else planes(rgb)
            chunks = (TILE, TILE, 3) if channels_last else (3, TILE, TILE)
            keys: dict[str, Any] = {"name": "v2" if version == "0.4" else "default", "separator": "/"}
            group.create_array(str(index), data=pixels, chunks=chunks, chunk_key_encoding=keys)
            um = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3}[unit]
            step = levels[0].shape[1] // rgb.shape[1]
            x, y = mpp or (1.0, 1.0)
            scale, shift = (
                [side * step / um for side in (y, x)],
                [side * (step - 1) / 2 / um for side in (y, x)],
            )
            at = 2 if channels_last else 0
            transforms = [
                {"type": "scale", "scale": [*scale[:at], 1.0, *scale[at:]]},
                {"type": "translation", "translation": [*shift[:at], 0.0, *shift[at:]]},
            ]
            datasets.append({"path": str(index), "coordinateTransformations": transforms})
        axes = [*spatial, *channel] if channels_last else [*channel, *spatial]
        multiscale: dict[str, Any] = {"name": "slide", "axes": axes, "datasets": datasets}
        if version == "0.4":
            group.attrs["multiscales"] = [{**multiscale, "version": version}]
        else:
            group.attrs["ome"] = {"version": version, "multiscales": [multiscale]}
        return path

    return write


def decode_zarr(path: Path) -> Picture:
    """Return level 0 as the zarr library reads it."""
    pixels = np.asarray(zarr.open_array(path / "0", mode="r"))
    return pixels if pixels.shape[-1] == 3 else np.moveaxis(pixels, 0, 2)


def _chunk(path: Path, row: int, column: int) -> Path:
    if (path / "zarr.json").exists():
        return path / "0" / "c" / "0" / str(row) / str(column)
    return path / "0" / str(row) / str(column) / "0"


def spoil_zarr(path: Path, row: int, column: int) -> None:
    """Overwrite a chunk of level 0."""
    chunk = _chunk(path, row, column)
    chunk.write_bytes(b"\x5a" * chunk.stat().st_size)


def omit_zarr(path: Path, row: int, column: int) -> None:
    """Remove a chunk of level 0."""
    _chunk(path, row, column).unlink()


def decode_picture(path: Path) -> Picture:
    """Return a picture as Pillow reads it."""
    return np.asarray(Image.open(path))


def write_png(folder: Path, levels: list[Picture], mpp: Mpp, unit: str) -> Path:
    """Write level 0 as a PNG, which has no others, and states no resolution of a slide."""
    path = folder / "slide.png"
    Image.fromarray(levels[0]).save(path)
    return path


def _dicom(syntax: str) -> Callable[[Path, list[Picture], Mpp, str], Path]:
    """Return a writer of DICOM slides of a transfer syntax, a file for each level."""

    def write(folder: Path, levels: list[Picture], mpp: Mpp, unit: str) -> Path:
        for index, rgb in enumerate(levels):
            step = levels[0].shape[1] // rgb.shape[1]
            how = Written(syntax=syntax, number=index + 1, facts=() if mpp is None else _spacing(mpp, step))
            write_level(folder / f"{index}.dcm", rgb, None, how)
        return folder / "0.dcm"

    return write


def _spacing(mpp: tuple[float, float], step: int) -> tuple[tuple[str, Any], ...]:
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing = [mpp[1] * step / 1000, mpp[0] * step / 1000]
    measures.SliceThickness = 0.001
    shared.PixelMeasuresSequence = Sequence([measures])
    return (("SharedFunctionalGroupsSequence", Sequence([shared])),)


def decode_dicom(path: Path) -> Picture:
    """Return level 0 as pydicom decodes its frames."""
    data = pydicom.dcmread(path)
    height, width = data.TotalPixelMatrixRows, data.TotalPixelMatrixColumns
    rows, columns = -(-height // TILE), -(-width // TILE)
    frames = data.pixel_array.reshape(rows, columns, TILE, TILE, 3)
    whole: Picture = frames.transpose(0, 2, 1, 3, 4).reshape(rows * TILE, columns * TILE, 3)
    return whole[:height, :width]


def spoil_dicom(path: Path, row: int, column: int) -> None:
    """Overwrite a frame of level 0, which is compressed."""
    data = pydicom.dcmread(path)
    tile = row * -(-data.TotalPixelMatrixColumns // TILE) + column
    frame = list(generate_frames(data.PixelData, number_of_frames=data.NumberOfFrames))[tile]
    path.write_bytes(path.read_bytes().replace(frame, b"\x5a" * len(frame)))


def omit_dicom(path: Path, row: int, column: int) -> None:
    """Write level 0 again, at 2 um per px, without a frame."""
    how = Written(syntax=pydicom.dcmread(path).file_meta.TransferSyntaxUID, omit=frozenset([(row, column)]))
    write_level(path, decode_dicom(path), 2.0, how)


TIFF: dict[str, Any] = {"decode": decode_tiff, "spoil": spoil_tiff, "omit": omit_tiff}
OME_UNITS = ("µm", "nm", "mm")

PAGES = Container("TIFF", write_pages, units=("cm", "inch"), **TIFF)
SVS = Container("SVS", write_svs, units=("um",), squared=True, **TIFF)
OME_TIFF = Container("OME-TIFF", _ome("rgb", "YXS", np.asarray), units=OME_UNITS, **TIFF)
OME_PLANES = Container(
    "OME-TIFF in planes", _ome("planes", "SYX", planes, planarconfig="separate"), units=OME_UNITS, **TIFF
)
OME_PAGES = Container(
    "OME-TIFF in pages", _ome("pages", "CYX", planes, photometric="minisblack"), units=OME_UNITS, **TIFF
)

ZARR: dict[str, Any] = {"decode": decode_zarr, "spoil": spoil_zarr, "omit": omit_zarr}
NGFF_UNITS = ("micrometer", "nanometer", "millimeter")

ZARR_0_4 = Container(
    "OME-Zarr 0.4, channels last", _zarr("0.4", channels_last=True), units=NGFF_UNITS, **ZARR
)
ZARR_0_5 = Container("OME-Zarr 0.5", _zarr("0.5"), units=NGFF_UNITS, **ZARR)

DICOM_NATIVE = Container(
    "DICOM, uncompressed", _dicom(NATIVE), units=("mm",), decode=decode_dicom, omit=omit_dicom
)
DICOM_RLE = Container(
    "DICOM, RLE", _dicom(RLE), units=("mm",), decode=decode_dicom, spoil=spoil_dicom, omit=omit_dicom
)
PNG = Container("PNG", write_png, units=(), flat=True, decode=decode_picture)

CONTAINERS = (PAGES, SVS, OME_TIFF, OME_PLANES, OME_PAGES, ZARR_0_4, ZARR_0_5, DICOM_NATIVE, DICOM_RLE, PNG)
"""Those that are read."""


def name_of(container: Container) -> str:
    """Its name, by which a test with it is called."""
    return container.name


PYRAMIDS = [container for container in CONTAINERS if not container.flat]
SPOILT = [container for container in CONTAINERS if container.spoil is not None]
"""Those that have tiles of which not any bytes are pixels."""

OMITTED = [container for container in CONTAINERS if container.omit is not None]
STATED = [container for container in CONTAINERS if container.units]
