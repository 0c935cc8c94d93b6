#!/usr/bin/env bash
# OpenSlide: a DICOM slide is refused, colour or not, if one of its files is grey, though it be the label.
#
# Versions:  openslide-bin 4.0.1.2 (OpenSlide 4.0.1), openslide-python 1.4.7, pydicom 3.0.2
# Seen:      "Couldn't read PlanarConfiguration", of a file whose samples are MONOCHROME2. With a label in colour the
#            same slide opens.
# Why:       OpenSlide asks every file of the series for PlanarConfiguration. DICOM PS3.3 C.7.6.3.1.3 has it where there
#            is more than one sample per pixel, and grey has one; the whole slide IOD allows MONOCHROME2 (C.8.12.4.1.5).
# Do:        do not take the message for damage. Read the slide by wsidicom, or move the grey label out of the folder.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${PYTHON:-python3}" -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet openslide-bin==4.0.1.2 openslide-python==1.4.7 pydicom==3.0.2 numpy==2.4.6
cd "$dir"
venv/bin/python -W ignore - <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
import openslide
from pydicom import Dataset, FileMetaDataset, __version__

ROOT = "1.2.826.0.1.3680043.8.498.7"
UNCOMPRESSED = "1.2.840.10008.1.2.1"

print("openslide", openslide.__library_version__, "pydicom", __version__)
y, x = np.mgrid[:128, :128]
rgb = np.stack([x, y, 128 + 0 * x], axis=2).astype(np.uint8)


def group(**statements):
    data = Dataset()
    for name, value in statements.items():
        setattr(data, name, value)
    return data


def write(path, number, flavour, pixels):
    """Write a file of one tile: RGB, or grey, which has no PlanarConfiguration."""
    grey = pixels.ndim == 2
    data = group(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.6",
        SOPInstanceUID=f"{ROOT}.1.{number}",
        StudyInstanceUID=f"{ROOT}.2",
        SeriesInstanceUID=f"{ROOT}.3",
        ImageType=["ORIGINAL", "PRIMARY", flavour, "NONE"],
        Modality="SM",
        DimensionOrganizationType="TILED_FULL",
        SamplesPerPixel=1 if grey else 3,
        PhotometricInterpretation="MONOCHROME2" if grey else "RGB",
        Rows=128,
        Columns=128,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
        NumberOfFrames=1,
        TotalPixelMatrixColumns=128,
        TotalPixelMatrixRows=128,
        TotalPixelMatrixFocalPlanes=1,
        OpticalPathSequence=[group(OpticalPathIdentifier="1")],
        PixelData=pixels.tobytes(),
    )
    if not grey:
        data.PlanarConfiguration = 0
    data["PixelData"].VR = "OB"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = UNCOMPRESSED
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.save_as(path, enforce_file_format=True)


def opens(folder, slide, label):
    Path(folder).mkdir()
    write(f"{folder}/slide.dcm", 1, "VOLUME", slide)
    write(f"{folder}/label.dcm", 2, "LABEL", label)
    try:
        with openslide.OpenSlide(f"{folder}/slide.dcm") as opened:
            opened.read_region((0, 0), 0, (128, 128))
    except openslide.OpenSlideError as error:
        print("  ", error)
        return False
    return True


seen = []
for name, slide, label in (
    ("colour with a colour label", rgb, rgb),
    ("colour with a grey label", rgb, rgb[..., 0]),
    ("grey with a grey label", rgb[..., 0], rgb[..., 0]),
):
    seen.append(opens(name.replace(" ", "-"), slide, label))
    print(f"{name}: opens {seen[-1]}")
sys.exit("not as stated: the note is out of date" if seen != [True, False, False] else 0)
PYTHON
echo "as stated"
