"""DICOM files: real ones under other names, and the beginnings of ones that are no slides."""

from __future__ import annotations

import struct
from pathlib import Path

SERIES = "1.2.826.0.1.3680043.8.498.21577574112843936045397065457192622591"
"""Of the real slide, in all of its files."""

CONTAINER = "Unknown"
"""What the real slide's container is called; DICOM fills up to an even length."""

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
ANNOTATIONS = "1.2.840.10008.5.1.4.1.1.91.1"
REPORT = "1.2.840.10008.5.1.4.1.1.88.34"
EXPLICIT = "1.2.840.10008.1.2.1"


def element(group: int, number: int, vr: str, value: bytes) -> bytes:
    """One element of a data set, little-endian, with an explicit value representation."""
    value += b"\0" * (len(value) % 2)
    head = struct.pack("<HH2s", group, number, vr.encode())
    long = vr in ("OB", "SQ", "UN")
    return head + (struct.pack("<HI", 0, len(value)) if long else struct.pack("<H", len(value))) + value


def write_dicom(path: Path, sop_class: str, image_type: str = "", syntax: str = EXPLICIT) -> Path:
    """Write the beginning of a DICOM file, which is all that tells what it is."""
    meta = element(2, 1, "OB", b"\0\1") + element(2, 2, "UI", sop_class.encode())
    meta += element(2, 3, "UI", b"1.2.3") + element(2, 0x10, "UI", syntax.encode())
    content = element(8, 5, "CS", b"ISO_IR 192")
    if image_type:
        content += element(8, 8, "CS", image_type.encode())
    content += element(8, 0x16, "UI", sop_class.encode())
    length = element(2, 0, "UL", struct.pack("<I", len(meta)))
    path.write_bytes(b"\0" * 128 + b"DICM" + length + meta + content)
    return path


def copy_series(
    shared_data: Path,
    folder: Path,
    prefix: str,
    series: str = SERIES,
    container: str = CONTAINER,
    suffix: str = ".dcm",
) -> list[Path]:
    """Copy the files of the real slide, as of another series and container, names of the same lengths."""
    folder.mkdir(parents=True, exist_ok=True)
    old, new = (element(0x40, 0x512, "LO", name.encode().ljust(8)) for name in (CONTAINER, container))
    copies = []
    for file in sorted((shared_data / "slides" / "CMU-1-Small-Region_dicom").glob("*.dcm")):
        content = file.read_bytes()
        assert SERIES.encode() in content
        assert old in content
        content = content.replace(SERIES.encode(), series.encode()).replace(old, new)
        copies.append(folder / f"{prefix}{file.stem}{suffix}")
        copies[-1].write_bytes(content)
    return copies
