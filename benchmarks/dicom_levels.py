"""A part of a slide as DICOM, an instance for each level, for `read.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import imagecodecs
import tifffile
from dicom_slide import ROOT, WHOLE_SLIDE, group
from pydicom import FileMetaDataset
from pydicom.encaps import encapsulate_extended

JPEG, HTJ2K = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.201"

START, LENGTH = 2, 2
"""Bytes of the markers that begin and end a JPEG."""


def write_jpeg(source: Path, path: Path, width: int, height: int) -> None:
    """Copy a TIFF's JPEG tiles as frames, each with the tables that the TIFF keeps once.

    Parameters are those of `containers.write_ome_tiff`.
    """
    write_levels(source, path.parent, (width, height), JPEG, "YBR_FULL_422", whole_jpeg)


def write_htj2k(source: Path, path: Path, width: int, height: int) -> None:
    """Write the pixels of a TIFF's JPEG tiles without loss in a syntax that OpenSlide refuses.

    Parameters are those of `containers.write_ome_tiff`.
    """
    write_levels(source, path.parent, (width, height), HTJ2K, "RGB", as_htj2k)


def whole_jpeg(page: tifffile.TiffPage, tile: bytes) -> bytes:
    return tile if page.jpegtables is None else page.jpegtables[:-LENGTH] + tile[START:]


def as_htj2k(page: tifffile.TiffPage, tile: bytes) -> bytes:
    space = tifffile.PHOTOMETRIC(page.photometric).name
    rgb = imagecodecs.jpeg8_decode(tile, tables=page.jpegtables, colorspace=space, outcolorspace="RGB")
    return bytes(imagecodecs.htj2k_encode(rgb, reversible=True))


def write_levels(
    source: Path,
    folder: Path,
    size: tuple[int, int],
    syntax: str,
    photometric: str,
    encode: Callable[[tifffile.TiffPage, bytes], bytes],
) -> None:
    """Write an instance for each level of a TIFF, of its top left `size` (width, height) level-0 pixels."""
    folder.mkdir()
    with tifffile.TiffFile(source) as slide:
        pages = [
            page for level in slide.series[0].levels if isinstance(page := level.pages[0], tifffile.TiffPage)
        ]
        mpp = 1e4 / pages[0].resolution[0]
        for number, page in enumerate(pages):
            step = pages[0].imagewidth // page.imagewidth
            sides = -(-size[0] // step), -(-size[1] // step)
            frames = [encode(page, tile) for tile in tiles_of(page, *sides)]
            write_level(folder / f"{number}.dcm", page, sides, mpp * step, (syntax, photometric), frames)


def tiles_of(page: tifffile.TiffPage, width: int, height: int) -> Iterator[bytes]:
    """Yield a page's tiles as they are stored, those of a part in the top left corner."""
    columns = -(-page.imagewidth // page.tilewidth)
    file = page.parent.filehandle
    for row in range(-(-height // page.tilelength)):
        for column in range(-(-width // page.tilewidth)):
            index = row * columns + column
            file.seek(page.dataoffsets[index])
            yield file.read(page.databytecounts[index])


def write_level(
    path: Path,
    page: tifffile.TiffPage,
    size: tuple[int, int],
    mpp: float,
    stored_as: tuple[str, str],
    frames: list[bytes],
) -> None:
    """Write one instance: `stored_as` is its transfer syntax and photometric interpretation."""
    level = int(path.stem)
    data = group(
        SOPClassUID=WHOLE_SLIDE,
        SOPInstanceUID=f"{ROOT}.1.{level}",
        StudyInstanceUID=f"{ROOT}.2",
        SeriesInstanceUID=f"{ROOT}.3",
        FrameOfReferenceUID=f"{ROOT}.4",
        ContainerIdentifier="S-1",
        ImageType=[
            "ORIGINAL" if level == 0 else "DERIVED",
            "PRIMARY",
            "VOLUME",
            "RESAMPLED" if level else "NONE",
        ],
        Modality="SM",
        DimensionOrganizationType="TILED_FULL",
        SamplesPerPixel=3,
        PhotometricInterpretation=stored_as[1],
        PlanarConfiguration=0,
        Rows=page.tilelength,
        Columns=page.tilewidth,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
        NumberOfFrames=len(frames),
        TotalPixelMatrixColumns=size[0],
        TotalPixelMatrixRows=size[1],
        TotalPixelMatrixFocalPlanes=1,
        OpticalPathSequence=[group(OpticalPathIdentifier="1")],
        SharedFunctionalGroupsSequence=[
            group(PixelMeasuresSequence=[group(PixelSpacing=[mpp / 1000, mpp / 1000], SliceThickness=0.001)])
        ],
    )
    data.PixelData, data.ExtendedOffsetTable, data.ExtendedOffsetTableLengths = encapsulate_extended(frames)
    data["PixelData"].VR = "OB"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = stored_as[0]
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.save_as(path, enforce_file_format=True)
