"""What OME-XML, in a TIFF's description, says of one of the file's images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from wsi_seg.slides.readers.lengths import OME_UM

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

OF_FLUORESCENCE = ("Fluor", "EmissionWavelength", "ExcitationWavelength")
WHITE = (255, 255, 255)


@dataclass(frozen=True)
class OmeChannel:
    """One channel.

    Attributes
    ----------
    name : str
        Empty if it has none.
    color : (int, int, int) or None
        The display colour. White, the default, states nothing: None.
    fluorescent : bool
        Whether a dye or wavelengths are stated.
    """

    name: str
    color: tuple[int, int, int] | None
    fluorescent: bool


@dataclass(frozen=True)
class OmeImage:
    """An image of an OME-XML.

    Attributes
    ----------
    size : (int, int)
        Width and height.
    channels : tuple of OmeChannel
        The channels that are described; there may be more.
    planes : (int, int, int)
        How many channels, planes of depth and times it has.
    significant_bits : int or None
    mpp : (float, float) or None
        Micrometres per pixel in x and y.
    """

    size: tuple[int, int]
    channels: tuple[OmeChannel, ...]
    planes: tuple[int, int, int]
    significant_bits: int | None
    mpp: tuple[float, float] | None


def read_ome(description: str, page: int = 0) -> OmeImage | None:
    """Read a description as OME-XML.

    Parameters
    ----------
    description : str
    page : int
        The number of the image's first page in the TIFF.

    Returns
    -------
    OmeImage or None
        None if it is not OME-XML, is damaged, or does not describe that page.
    """
    if "<OME" not in description and ":OME" not in description:
        return None
    try:
        root = fromstring(description.encode())
    except (ParseError, DefusedXmlException):
        return None
    try:
        pixels = _pixels_of(root, page)
        if pixels is None:
            return None
        return OmeImage(
            size=(int(pixels.get("SizeX", 0)), int(pixels.get("SizeY", 0))),
            channels=tuple(_channel(c) for c in pixels.findall("{*}Channel")),
            planes=(int(pixels.get("SizeC", 1)), int(pixels.get("SizeZ", 1)), int(pixels.get("SizeT", 1))),
            significant_bits=int(pixels.get("SignificantBits", 0)) or None,
            mpp=_mpp(pixels),
        )
    except ValueError:
        return None


def stated_most(description: str) -> tuple[int, int, int]:
    """Return width, height and planes of the image that OME-XML gives most pixels; zeros without any."""
    found = [(0, 0, 0)]
    try:
        for pixels in fromstring(description.encode()).findall(".//{*}Pixels"):
            x, y, c, z, t = (int(pixels.get(f"Size{axis}", 1)) for axis in "XYCZT")
            found.append((x, y, c * z * t))
    except (ParseError, DefusedXmlException, ValueError):
        pass  # no image is found by it, and none is missed
    return max(found, key=math.prod)


def _pixels_of(root: Element, page: int) -> Element | None:
    """Return the image that a page of the TIFF belongs to."""
    images = root.findall(".//{*}Image/{*}Pixels")
    for pixels in images if len(images) > 1 else ():
        for data in pixels.findall("{*}TiffData"):
            file = data.find("{*}UUID")
            if file is not None and file.text != root.get("UUID", file.text):
                continue  # of another file
            first = int(data.get("IFD", 0))
            count = int(data.get("PlaneCount", 1 if "IFD" in data.attrib else 0))
            if first <= page and (page < first + count or not count):
                return pixels
    return images[0] if images and page == 0 else None


def _channel(element: Element) -> OmeChannel:
    rgba = int(element.get("Color", -1)) & 0xFFFFFFFF
    color = (rgba >> 24, rgba >> 16 & 255, rgba >> 8 & 255)
    return OmeChannel(
        name=element.get("Name", "").strip(),
        color=None if color == WHITE else color,
        fluorescent=any(element.get(name) for name in OF_FLUORESCENCE)
        or element.get("ContrastMethod") == "Fluorescence",
    )


def _mpp(pixels: Element) -> tuple[float, float] | None:
    sides = []
    for axis in "XY":
        size = pixels.get(f"PhysicalSize{axis}")
        um = OME_UM.get(pixels.get(f"PhysicalSize{axis}Unit", ""))
        if size is None or um is None:
            return None
        sides.append(float(size) * um)
    return sides[0], sides[1]
