"""Whole slide images as DICOM, written tile by tile: every transfer syntax, sparse, in parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.sequence import Sequence
from wsidicom.uid import JPEGXLLossless  # pydicom itself does not know JPEG XL

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
ROOT = "1.2.826.0.1.3680043.8.498.7"
NATIVE, JPEG, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"
LOSSLESS_JPEG, JPEG_LS = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80"
J2K, HTJ2K, JPEG_XL = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201", str(JPEGXLLossless)
TILE = 128

Tile = NDArray[np.uint8]


def rle(tile: Tile) -> bytes:
    samples = tile.shape[2] if tile.ndim == 3 else 1
    coded: bytes = RLELosslessEncoder.encode(
        np.ascontiguousarray(tile),
        rows=tile.shape[0],
        columns=tile.shape[1],
        samples_per_pixel=samples,
        number_of_frames=1,
        bits_allocated=8,
        bits_stored=8,
        pixel_representation=0,
        photometric_interpretation="MONOCHROME2" if samples == 1 else "RGB",
        planar_configuration=0,
        encoding_plugin="pydicom",
    )
    return coded


def lossless_jpeg(tile: Tile) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(tile, lossless=True, predictor=1))


def unmarked(jpeg: bytes) -> bytes:
    """Take from a JPEG what says that it holds RGB: Adobe's marker, and components of that name."""
    at = jpeg.index(b"\xff\xee")
    jpeg = jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4]) :]
    frame, scan = jpeg.index(b"\xff\xc3"), jpeg.index(b"\xff\xda")
    named = bytearray(jpeg)
    for i in range(3):
        named[frame + 10 + 3 * i] = named[scan + 5 + 2 * i] = i + 1
    return bytes(named)


ENCODERS: dict[str, Callable[[Tile], bytes]] = {
    NATIVE: lambda tile: tile.tobytes(),
    JPEG: lambda tile: bytes(imagecodecs.jpeg8_encode(tile, level=95)),
    RLE: rle,
    LOSSLESS_JPEG: lossless_jpeg,
    JPEG_LS: lambda tile: bytes(imagecodecs.jpegls_encode(tile)),
    J2K: lambda tile: bytes(imagecodecs.jpeg2k_encode(tile, level=0, reversible=True, codecformat="J2K")),
    HTJ2K: lambda tile: bytes(imagecodecs.htj2k_encode(tile, reversible=True)),
    JPEG_XL: lambda tile: bytes(imagecodecs.jpegxl_encode(tile, lossless=True)),
}


@dataclass(frozen=True)
class Written:
    """How a file is written.

    Attributes
    ----------
    syntax : str
    photometric : str
        RGB, or what the samples are declared to be.
    omit : set of (int, int)
        Rows and columns of tiles to leave out; then frames state their places.
    flavour : str
    number : int
        Of the instance in its series.
    table : str
        Of the places of frames: "basic", "extended" or "none".
    fragments : int
        That each frame is cut into.
    encode : callable, optional
        In place of the syntax's own encoder.
    facts : dict
        Attributes to set besides.
    """

    syntax: str = RLE
    photometric: str = "RGB"
    omit: frozenset[tuple[int, int]] | None = None
    flavour: str = "VOLUME"
    number: int = 1
    series: str = f"{ROOT}.2"
    table: str = "basic"
    fragments: int = 1
    encode: Callable[[Tile], bytes] | None = None
    facts: tuple[tuple[str, Any], ...] = ()


def write_level(
    path: Path, pixels: NDArray[Any], mpp: float | None = 2.0, how: Written | None = None
) -> Path:
    """Write one level of a slide; its sides need be no multiples of the tile's."""
    how = how or Written()
    tiles = cut(pixels, how.omit or frozenset())
    return write_frames(path, list(tiles), [*tiles.values()], pixels.shape, mpp, how)


def write_parts(folder: Path, pixels: Tile, parts: int, how: Written | None = None) -> list[Path]:
    """Write one level as a concatenation of several files."""
    how = how or Written()
    tiles = cut(pixels, how.omit or frozenset())
    places, frames = list(tiles), [*tiles.values()]
    edges = np.linspace(0, len(frames), parts + 1).astype(int).tolist()
    paths = []
    for part, (first, end) in enumerate(pairwise(edges)):
        facts = (
            ("SOPInstanceUIDOfConcatenationSource", f"{ROOT}.9.{how.number}"),
            ("ConcatenationUID", f"{ROOT}.8.{how.number}"),
            ("ConcatenationFrameOffsetNumber", first),
            ("InConcatenationNumber", part + 1),
            ("InConcatenationTotalNumber", parts),
        )
        one = Written(**{**vars(how), "number": 100 * how.number + part, "facts": how.facts + facts})
        path = folder / f"part-{parts - part}.dcm"
        paths.append(write_frames(path, places[first:end], frames[first:end], pixels.shape, 2.0, one))
    return paths


def cut(pixels: Tile, omit: frozenset[tuple[int, int]]) -> dict[tuple[int, int], Tile]:
    """Cut a picture into tiles by row and column; edges are filled up with the last pixels."""
    height, width = pixels.shape[:2]
    pad = ((0, -height % TILE), (0, -width % TILE)) + ((0, 0),) * (pixels.ndim - 2)
    filled = np.pad(pixels, pad, mode="edge")
    return {
        (row, column): filled[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
        for row in range(-(-height // TILE))
        for column in range(-(-width // TILE))
        if (row, column) not in omit
    }


def write_frames(
    path: Path,
    places: list[tuple[int, int]],
    frames: list[Tile],
    shape: tuple[int, ...],
    mpp: float | None,
    how: Written,
) -> Path:
    """Write the file of these frames."""
    data = _statements(shape, mpp, how)
    data.NumberOfFrames = len(frames)
    if how.omit is not None:
        data.PerFrameFunctionalGroupsSequence = Sequence([_place(*place) for place in places])
    encoded = [(how.encode or ENCODERS[how.syntax])(frame) for frame in frames]
    if how.syntax == NATIVE:
        data.PixelData = b"".join(encoded)
    elif how.table == "extended":
        table = encapsulate_extended(encoded)
        data.PixelData, data.ExtendedOffsetTable, data.ExtendedOffsetTableLengths = table
    else:
        data.PixelData = encapsulate(encoded, how.fragments, has_bot=how.table == "basic")
    data["PixelData"].VR = "OB"
    for name, value in how.facts:
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


def _statements(shape: tuple[int, ...], mpp: float | None, how: Written) -> Dataset:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = how.syntax
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = WHOLE_SLIDE
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = f"{ROOT}.1.{how.number}"
    data.ImageType = ["ORIGINAL", "PRIMARY", how.flavour, "NONE"]
    data.Modality = "SM"
    data.StudyInstanceUID, data.SeriesInstanceUID = f"{ROOT}.3", how.series
    data.DimensionOrganizationType = "TILED_FULL" if how.omit is None else "TILED_SPARSE"
    data.ContainerIdentifier = "S-1"
    data.SamplesPerPixel = shape[2] if len(shape) == 3 else 1
    data.PhotometricInterpretation = how.photometric
    if data.SamplesPerPixel == 3:
        data.PlanarConfiguration = 0
    data.Rows = data.Columns = TILE
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.TotalPixelMatrixRows, data.TotalPixelMatrixColumns = shape[:2]
    data.TotalPixelMatrixFocalPlanes = 1
    data.OpticalPathSequence = Sequence([_with(OpticalPathIdentifier="1", ObjectiveLensPower=20)])
    if mpp is not None:
        measures = _with(PixelSpacing=[mpp / 1000, mpp / 1000], SliceThickness=0.001)
        data.SharedFunctionalGroupsSequence = Sequence([_with(PixelMeasuresSequence=Sequence([measures]))])
    return data


def _place(row: int, column: int) -> Dataset:
    place = _with(
        ColumnPositionInTotalImagePixelMatrix=column * TILE + 1,
        RowPositionInTotalImagePixelMatrix=row * TILE + 1,
        XOffsetInSlideCoordinateSystem=0,
        YOffsetInSlideCoordinateSystem=0,
        ZOffsetInSlideCoordinateSystem=0,
    )
    return _with(PlanePositionSlideSequence=Sequence([place]))


def _with(**statements: Any) -> Dataset:
    data = Dataset()
    for name, value in statements.items():
        setattr(data, name, value)
    return data
