"""What a DICOM file says it is, read from its first bytes.

Segmentations, annotations and reports lie beside the files of a whole slide image, with similar names.
OpenSlide opens none of them.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.files.plain_files import open_plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
OBJECTS = {
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation (SEG)",
    "1.2.840.10008.5.1.4.1.1.66.7": "a segmentation (SEG)",
    "1.2.840.10008.5.1.4.1.1.91.1": "annotations (ANN)",
    "1.2.840.10008.5.1.4.1.1.30": "a parametric map",
    "1.2.840.10008.1.3.10": "a directory (DICOMDIR)",
}
"""Names of DICOM objects by their SOP class, without the "DICOM" at the front."""

REPORTS = "1.2.840.10008.5.1.4.1.1.88."
"""How the SOP classes of structured reports begin."""

BESIDE_A_SLIDE = frozenset({"LABEL", "OVERVIEW", "THUMBNAIL"})
"""Flavours of images that belong to a slide and are not the slide."""

SOP_CLASS, TRANSFER_SYNTAX, IMAGE_TYPE = (0x0002, 0x0002), (0x0002, 0x0010), (0x0008, 0x0008)
SERIES, PHOTOMETRIC, CONTAINER = (0x0020, 0x000E), (0x0028, 0x0004), (0x0040, 0x0512)
STATEMENTS = (SOP_CLASS, TRANSFER_SYNTAX, IMAGE_TYPE, SERIES, CONTAINER, PHOTOMETRIC)
"""The tags that are read, in the order of the fields of `DicomHeader`."""

UIDS, UID = frozenset({SOP_CLASS, TRANSFER_SYNTAX, SERIES}), re.compile(r"[0-9.]{1,64}")
LONGEST = 1024
"""Characters of a statement; one that is longer is damaged."""

DELIMITERS, ITEM, SEQUENCE_END = 0xFFFE, 0xE000, 0xE0DD
"""The group of the tags that frame the items of a sequence, and two of its numbers."""

LONG_VRS = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)
"""Value representations with a length field of four bytes."""

OTHER_ENCODINGS = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"})
"""Transfer syntaxes whose data set is not written as the header is: implicit, big-endian, deflated."""

PREAMBLE, MAGIC = 128, b"DICM"
HEAD_BYTES = 1 << 16
UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True)
class DicomHeader:
    """What the beginning of a DICOM file states; empty where it states nothing.

    Attributes
    ----------
    sop_class : str
        UID of the kind of object.
    transfer_syntax : str
        UID of how it is encoded and compressed.
    flavour : str
        Of an image of a slide: VOLUME for the slide itself, or LABEL, OVERVIEW, THUMBNAIL.
    series : str
        UID of the series: one for all files of a slide.
    container : str
        What the glass slide is labelled with.
    photometric : str
        What the samples are, by DICOM's names.
    """

    sop_class: str
    transfer_syntax: str
    flavour: str
    series: str = ""
    container: str = ""
    photometric: str = ""

    @property
    def no_slide(self) -> str | None:
        """What the object is, if it is not a whole slide image."""
        if self.sop_class in (WHOLE_SLIDE, ""):
            return None
        if self.sop_class.startswith(REPORTS):
            return "a structured report (SR)"
        return OBJECTS.get(self.sop_class, "not a whole slide image")


def read_dicom_header(path: Path) -> DicomHeader | None:
    """Read the beginning of a DICOM file; None for any other file, or one that cannot be read."""
    try:
        with open_plain(path) as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return None  # opening it as a slide reports the error
    if head[PREAMBLE : PREAMBLE + len(MAGIC)] != MAGIC:
        return None
    found: dict[tuple[int, int], str] = {}
    for tag, value in _elements(head, PREAMBLE + len(MAGIC)):
        if tag > CONTAINER or (tag[0] > 2 and found.get(TRANSFER_SYNTAX, "") in OTHER_ENCODINGS):
            break
        if tag in STATEMENTS:
            text = value.decode("utf-8", "replace").strip("\0 ")
            damaged = tag in UIDS and not UID.fullmatch(text)
            found[tag] = "" if damaged or len(text) > LONGEST else text
    sop_class, syntax, image_type, *others = (found.get(tag, "") for tag in STATEMENTS)
    flavour = "".join(image_type.split("\\")[2:3]).strip()
    return DicomHeader(sop_class, syntax, flavour, *others)


def _elements(head: bytes, start: int) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Yield complete tags and values outside of sequences, little-endian with explicit representations."""
    at, depth = start, 0
    while at + 12 <= len(head) and depth >= 0:
        group, element = struct.unpack_from("<HH", head, at)
        if group == DELIMITERS:
            (length,) = struct.unpack_from("<I", head, at + 4)
            at += 8 + (length if element == ITEM and length != UNDEFINED else 0)
            depth -= element == SEQUENCE_END
            continue
        sequence = head[at + 4 : at + 6] == b"SQ"
        if head[at + 4 : at + 6] in LONG_VRS:
            (length,) = struct.unpack_from("<I", head, at + 8)
            at += 12
        else:
            (length,) = struct.unpack_from("<H", head, at + 6)
            at += 8
        if length == UNDEFINED and sequence:
            depth += 1
            continue
        if length == UNDEFINED or at + length > len(head):
            return
        if depth == 0:
            yield (group, element), head[at : at + length]
        at += length
