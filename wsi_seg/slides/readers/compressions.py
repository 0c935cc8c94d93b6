"""The compressions of TIFFs: their names, who decodes them, and whether that gives RGB."""

from __future__ import annotations

from typing import NamedTuple

import imagecodecs

JPEG = 7
YCBCR = 6
"""Of the tag PhotometricInterpretation."""

APERIO_YCBCR, APERIO_RGB = 33003, 33005
JPEG_2000 = (APERIO_YCBCR, 33004, APERIO_RGB, 34712)


class Codec(NamedTuple):
    """A compression: what it is called, and the part of imagecodecs that decodes it; empty for none."""

    name: str
    module: str = ""


BY_OPENSLIDE: dict[int, Codec] = {
    1: Codec("none"),
    5: Codec("LZW", "LZW"),
    JPEG: Codec("JPEG", "JPEG8"),
    8: Codec("Deflate", "ZLIB"),
    32773: Codec("PackBits", "PACKBITS"),
    32946: Codec("Deflate", "ZLIB"),
    50000: Codec("Zstd", "ZSTD"),
}
"""Compressions that OpenSlide reads too, by their TIFF number."""

OTHERS: dict[int, Codec] = {
    **dict.fromkeys(JPEG_2000, Codec("JPEG 2000", "JPEG2K")),
    34887: Codec("LERC", "LERC"),
    34925: Codec("LZMA", "LZMA"),
    34933: Codec("PNG", "PNG"),
    34934: Codec("JPEG XR", "JPEGXR"),
    22610: Codec("JPEG XR", "JPEGXR"),
    50001: Codec("WebP", "WEBP"),
    50002: Codec("JPEG XL", "JPEGXL"),
    52546: Codec("JPEG XL", "JPEGXL"),
}
"""Compressions that OpenSlide does not read, outside of scanners' own formats."""


def codec_of(compression: int) -> Codec | None:
    """Return the codec of a compression; None for one that is not read."""
    return BY_OPENSLIDE.get(compression) or OTHERS.get(compression)


def is_installed(codec: Codec) -> bool:
    """Return whether the installed imagecodecs has a codec; some builds leave some out."""
    return not codec.module or bool(getattr(getattr(imagecodecs, codec.module, None), "available", False))


def decoded_as_rgb(compression: int, photometric: int) -> bool:
    """Return whether YCbCr of a compression becomes RGB here, as it is decoded or afterwards.

    Of the other numbers of JPEG 2000 it is not clear whether the decoder has converted it already.
    """
    return photometric == YCBCR and compression in (JPEG, APERIO_YCBCR, APERIO_RGB)


def stored_as_ycbcr(compression: int) -> bool:
    """Return whether decoding leaves YCbCr. Aperio's numbers say so themselves, whatever the tag says."""
    return compression == APERIO_YCBCR
