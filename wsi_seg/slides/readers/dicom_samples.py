"""Samples of a DICOM slide that neither OpenSlide nor wsidicom decodes, whatever compresses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TO_8_BITS = "convert it to 8 bits per channel"
STATED = {
    "BitsAllocated": 8,
    "BitsStored": 8,
    "HighBit": 7,
    "PixelRepresentation": 0,
    "PlanarConfiguration": 0,
}
"""What samples have to be, by DICOM's names."""

BY_ANOTHER = "decode it with DCMTK, or export it again"


def why_samples(stated: Mapping[str, object]) -> str | None:
    """Return why samples are not decoded, and the remedy; None for unsigned ones of 8 bits.

    Parameters
    ----------
    stated : mapping of str to int
        Statements of a file by DICOM's names; what is not among them is taken to be as it should.
    """
    found = {name: int(str(stated.get(name, usual))) for name, usual in STATED.items()}
    allocated, stored, high, signed, planes = found.values()
    if allocated != 8:
        return f"holds {max(allocated, stored)} bits per sample: {TO_8_BITS}"
    if (stored, high) != (8, 7):
        return f"holds {stored} bits per sample, of which bit {high} is the highest: {TO_8_BITS}"
    if signed:
        return f"holds signed samples: {TO_8_BITS}"
    if planes:
        return f"states colours in planes (PlanarConfiguration {planes}), which are not read: {BY_ANOTHER}"
    return None
