"""What the header of a DICOM file says: what the file is, and how its pixels are compressed."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PREAMBLE = 128
LONGEST = 1 << 16
"""Bytes within which the header is looked for; it takes some hundred."""

LONG_VALUES = frozenset({b"OB", b"OW", b"OF", b"OD", b"OL", b"SQ", b"UC", b"UN", b"UR", b"UT"})
"""Kinds of values whose length takes four bytes after two that are empty."""

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"


@dataclass(frozen=True)
class DicomHeader:
    """The file meta information.

    Attributes
    ----------
    sop_class : str
        UID of what the file is; `WHOLE_SLIDE` for the levels of a slide.
    transfer_syntax : str
        UID of how it is written.
    """

    sop_class: str
    transfer_syntax: str


def read_dicom_header(path: Path) -> DicomHeader | None:
    """Read a file's DICOM header; None if it has none."""
    with path.open("rb") as file:
        data = file.read(LONGEST)
    if data[PREAMBLE : PREAMBLE + 4] != b"DICM":
        return None
    uids: dict[int, str] = {}
    at = PREAMBLE + 4
    while at + 12 <= len(data):
        group, element, kind, length = struct.unpack_from("<HH2sH", data, at)
        at += 8
        if group != 2:
            break
        if kind in LONG_VALUES:
            (length,) = struct.unpack_from("<I", data, at)
            at += 4
        uids[element] = data[at : at + length].rstrip(b"\0 ").decode("ascii", "replace")
        at += length
    return DicomHeader(uids.get(0x0002, ""), uids.get(0x0010, ""))
