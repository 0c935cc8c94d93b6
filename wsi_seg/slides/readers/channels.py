"""Which samples of a TIFF are red, green and blue. A file where that is not clear is refused.

OpenSlide shows the first of several planes as grey, divides 16 bits by 257 whatever the camera's range was,
and takes a fourth sample for transparency. Such files are read sample by sample.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.errors import SlideError
from wsi_seg.slides.readers.compressions import JPEG, decoded_as_rgb
from wsi_seg.slides.readers.images import GREY
from wsi_seg.slides.readers.ome import OmeChannel, OmeImage, read_ome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wsi_seg.slides.readers.images import TiffImage

RGB = 2  # values of the tag PhotometricInterpretation
WHITE_IS_ZERO = 0
PREMULTIPLIED, TRANSPARENCY = 1, 2  # values of the tag ExtraSamples
PRIMARIES = {
    "r": 0,
    "red": 0,
    (255, 0, 0): 0,
    "g": 1,
    "green": 1,
    (0, 255, 0): 1,
    "b": 2,
    "blue": 2,
    (0, 0, 255): 2,
}

NO_NAME = re.compile(r"(channel|chan|ch|c)?[\s:_#\d-]*", re.IGNORECASE)
"""Names that programs give to channels by default: "Channel 0", "Channel:0:1", "C2", "3"."""


@dataclass(frozen=True)
class Channels:
    """Where a TIFF's colours are.

    Attributes
    ----------
    rgb : three pairs of int
        The page and the sample of red, green and blue. Three equal pairs mean grey.
    bits : int
        Per sample, as stored.
    significant_bits : int or None
        How many of these count, as the file states; None where it does not.
    plain : bool
        Whether OpenSlide shows these samples as they are.
    alpha : pair of int, or None
        The page and the sample of transparency.
    premultiplied : bool
        Colours are multiplied by `alpha`.
    inverted : bool
        White is 0.
    """

    rgb: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    bits: int
    significant_bits: int | None = None
    plain: bool = False
    alpha: tuple[int, int] | None = None
    premultiplied: bool = False
    inverted: bool = False

    def __str__(self) -> str:
        planes = len(set(self.rgb)) > 1 and len({page for page, _ in self.rgb}) > 1
        what = "grey" if len(set(self.rgb)) == 1 else f"RGB{' in planes' if planes else ''}"
        return f"{what}, {self.significant_bits or self.bits} bits"


def find_channels(path: Path, image: TiffImage) -> Channels | None:
    """Find the colours of an image.

    Parameters
    ----------
    path : Path
        Named in errors.
    image : TiffImage

    Returns
    -------
    Channels or None
        None for colours that only OpenSlide converts: palettes, CMYK, CIELab.

    Raises
    ------
    SlideError
        If it is not clear what the samples are.
    """
    if image.kind != "unsigned":
        raise SlideError(f"{path}: its samples are {image.kind} numbers: convert it to 8 bits per channel")
    if image.photometric not in (*GREY, RGB):
        if image.bits > 8:
            raise SlideError(
                f"{path}: holds {image.bits} bits per sample, and is not RGB: convert it to 8-bit RGB"
            )
        if not decoded_as_rgb(image.compression, image.photometric) or image.samples != 3:
            return None
    return _of_rgb(path, image) if image.photometric not in GREY else _of_grey(path, image)


def _of_rgb(path: Path, image: TiffImage) -> Channels:
    """Find the colours of an image that is declared RGB, or becomes that in decoding."""
    places = _places(image)
    if len(places) < 3:
        raise SlideError(f"{path}: is declared RGB, but holds {len(places)} channels: export it as RGB")
    # A fourth sample is transparency only if the file says so.
    transparent = image.extra in ((PREMULTIPLIED,), (TRANSPARENCY,))
    plain = image.bits == 8 and image.samples == 3 + transparent
    if not plain:
        _check_readable(path, image)
    return Channels(
        (places[0], places[1], places[2]),
        image.bits,
        _stated_bits(image, read_ome(image.description, image.page)),
        plain=plain,
        alpha=places[3] if plain and transparent and not image.separate else None,
        premultiplied=image.extra == (PREMULTIPLIED,),
    )


def _of_grey(path: Path, image: TiffImage) -> Channels:
    """Find the colours of an image in grey channels: three that are red, green and blue, or a single one."""
    ome, places = read_ome(image.description, image.page), _places(image)
    plain = image.bits == 8 and len(places) == 1
    red, green, blue = (0, 0, 0) if len(places) == 1 else _order(path, image, ome, len(places))
    if not plain:
        _check_readable(path, image)
    return Channels(
        (places[red], places[green], places[blue]),
        image.bits,
        _stated_bits(image, ome),
        plain=plain,
        inverted=image.photometric == WHITE_IS_ZERO,
    )


def _stated_bits(image: TiffImage, ome: OmeImage | None) -> int | None:
    stated = None if ome is None or image.bits == 8 else ome.significant_bits
    # "16 of 16" is what programs write by default: it states nothing.
    return None if stated == image.bits else stated


def _places(image: TiffImage) -> list[tuple[int, int]]:
    """Return the page and the sample of each channel: in the first plane of depth, at the first time."""
    lead = [(axis, n) for axis, n in zip(image.axes, image.shape, strict=True) if axis not in "YXS"]
    pages = np.arange(np.prod([n for _, n in lead], dtype=int)).reshape([n for _, n in lead])
    # Undescribed pages may be channels; pages described as depth or time are not.
    first = pages[tuple(slice(None) if axis in "CIQ" else 0 for axis, _ in lead)]
    return [(int(page), sample) for page in np.ravel(first) for sample in range(image.samples)]


def _order(path: Path, image: TiffImage, ome: OmeImage | None, count: int) -> tuple[int, int, int]:
    """Return which of several grey channels are red, green and blue."""
    described = ome.channels if ome is not None else ()
    stated = stated_order(described) if count == 3 else None
    if stated is not None:
        return stated
    # Three samples of a pixel, or three pages described as channels: most likely colour. (The well-known
    # recipe for vips writes OME-XML that counts the channels, and does not say where they are.)
    counted = ome is not None and ome.planes == (count, 1, 1)
    channels = image.samples == 3 or "C" in image.axes or counted
    if count == 3 and without_names(described) and channels and image.bits == 8:
        return 0, 1, 2
    names = names_of(described)
    called = f" ({', '.join(names)})" if names else ""
    raise SlideError(
        f"{path}: holds {count} grey {'channels' if channels else 'pages'}{called}, and does not state that "
        "they are "
        "red, green and blue: export it as RGB, or name its channels so in OME-XML"
    )


def stated_order(described: Sequence[OmeChannel]) -> tuple[int, int, int] | None:
    """Return which of three channels are stated to be red, green and blue; None if that is not stated."""
    if len(described) == 3 and not any(c.fluorescent for c in described):
        for stated in (_by_name(described), _by_color(described)):
            if stated is not None and sorted(stated) == [0, 1, 2]:
                red, green, blue = (stated.index(i) for i in range(3))
                return red, green, blue
    return None


def without_names(described: Sequence[OmeChannel]) -> bool:
    """Return whether nothing is stated that tells channels from red, green and blue."""
    return not names_of(described) and not any(c.color or c.fluorescent for c in described)


def names_of(described: Sequence[OmeChannel]) -> list[str]:
    """Return the names that people gave to channels, without those that programs give by default."""
    return [c.name for c in described if not NO_NAME.fullmatch(c.name)]


def _by_name(channels: Sequence[OmeChannel]) -> list[int] | None:
    found = [PRIMARIES.get(c.name.lower()) for c in channels]
    return None if None in found else [i for i in found if i is not None]


def _by_color(channels: Sequence[OmeChannel]) -> list[int] | None:
    if not all(NO_NAME.fullmatch(c.name) and c.color for c in channels):
        return None
    found = [PRIMARIES.get(c.color) for c in channels if c.color]
    return None if None in found else [i for i in found if i is not None]


def _check_readable(path: Path, image: TiffImage) -> None:
    """Refuse files that reading sample by sample cannot show correctly either."""
    if image.photometric == WHITE_IS_ZERO:
        raise SlideError(f"{path}: its channels are stored inverted (white is 0): convert it to 8-bit RGB")
    if image.bits not in (8, 16):
        raise SlideError(f"{path}: holds {image.bits} bits per sample: convert it to 8 bits per channel")
    if image.compression == JPEG and image.samples > 1 and not image.separate:
        raise SlideError(
            f"{path}: holds {image.samples} channels of {image.bits} bits as JPEG: export it as 8-bit RGB"
        )
