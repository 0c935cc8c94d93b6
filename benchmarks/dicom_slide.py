"""A DICOM slide of any size for benchmarks: it states how it lies, and omits all tiles but the first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydicom import Dataset, FileMetaDataset

ROOT = "1.2.826.0.1.3680043.8.498.7"
WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
TILE = 256


def write_slide(path: Path, size: tuple[int, int], mpp: float) -> Path:
    """Write a slide of so many pixels in width and height."""
    place = group(
        ColumnPositionInTotalImagePixelMatrix=1,
        RowPositionInTotalImagePixelMatrix=1,
        XOffsetInSlideCoordinateSystem=20,
        YOffsetInSlideCoordinateSystem=40,
        ZOffsetInSlideCoordinateSystem=0,
    )
    data = group(
        SOPClassUID=WHOLE_SLIDE,
        SOPInstanceUID=f"{ROOT}.1",
        StudyInstanceUID=f"{ROOT}.2",
        SeriesInstanceUID=f"{ROOT}.3",
        FrameOfReferenceUID=f"{ROOT}.4",
        PositionReferenceIndicator="SLIDE_CORNER",
        ImageType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        Modality="SM",
        DimensionOrganizationType="TILED_SPARSE",
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        Rows=TILE,
        Columns=TILE,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
        NumberOfFrames=1,
        TotalPixelMatrixColumns=size[0],
        TotalPixelMatrixRows=size[1],
        TotalPixelMatrixFocalPlanes=1,
        TotalPixelMatrixOriginSequence=[
            group(XOffsetInSlideCoordinateSystem=20, YOffsetInSlideCoordinateSystem=40)
        ],
        ImageOrientationSlide=[0, -1, 0, -1, 0, 0],
        OpticalPathSequence=[group(OpticalPathIdentifier="1")],
        SharedFunctionalGroupsSequence=[
            group(PixelMeasuresSequence=[group(PixelSpacing=[mpp / 1000, mpp / 1000], SliceThickness=0.001)])
        ],
        PerFrameFunctionalGroupsSequence=[group(PlanePositionSlideSequence=[place])],
        PixelData=bytes(TILE * TILE * 3),
    )
    data["PixelData"].VR = "OB"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.save_as(path, enforce_file_format=True)
    return path


def group(**statements: Any) -> Dataset:
    """Return a data set of these statements."""
    data = Dataset()
    for name, value in statements.items():
        setattr(data, name, value)
    return data
