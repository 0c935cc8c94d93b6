"""Plain images: one PNG, JPEG or TIFF that fits in memory, read upright as RGB."""

from __future__ import annotations

import struct
import warnings
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from wsi_seg.errors import SlideError
from wsi_seg.files.plain_files import check_plain
from wsi_seg.process import WhileNeeded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

ORIENTATION = 0x0112
QUARTER_TURNS = (5, 6, 7, 8)
"""Values of the EXIF tag `ORIENTATION` that exchange width and height."""

MAX_PIXELS = 2**26
"""Largest plain image that is read: pictures of it take some 20 bytes a pixel."""

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp"})
"""Of files that are pictures by their names; a TIFF may be one, too."""

DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, struct.error, zlib.error)
"""What Pillow raises for files that are damaged or are no images."""


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read an image upright, as (height, width, 3) RGB.

    Transparent pixels become white; of 16 bits the upper 8 are taken; of several pages, the first.

    Raises
    ------
    SlideError
        If the file is no image that can be read, or has more than `MAX_PIXELS`.
    """
    with opened(path) as image:
        return _to_rgb(path, ImageOps.exif_transpose(image))


def verified_size(path: Path) -> tuple[int, int]:
    """Return the width and height that `read_rgb` would give. Reads the whole file but decodes little of it.

    Raises
    ------
    SlideError
        If the file is no image, is damaged, or has more than `MAX_PIXELS`.
    """
    with opened(path) as image:
        width, height = image.size
        if image.format == "PNG":
            turned = "exif" in image.info and image.getexif().get(ORIENTATION) in QUARTER_TURNS
        else:
            # A JPEG is decoded at an eighth of each side; that reads all of its code.
            image.draft(None, (1, 1))
            image.load()
            # Only now: Pillow has already turned a TIFF upright, its size too, and then removes the tag.
            turned = image.getexif().get(ORIENTATION) in QUARTER_TURNS
    return (height, width) if turned else (width, height)


def verify_png(path: Path) -> None:
    """Compare the checksums of a PNG with its content, which Pillow does for pixels only on request.

    Without this check, damaged pixels would pass as other pixels. Other formats have no checksums.

    Raises
    ------
    One of `DECODE_ERRORS`
        If the content is not what was written, or it is no plain file.
    """
    check_plain(path)
    with Image.open(path) as image:
        if image.format == "PNG":
            image.verify()


def why_unreadable(path: Path, error: Exception) -> str:
    """Put one of `DECODE_ERRORS` into a few words, without the file's name."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).replace(str(path), "it").split()) or type(error).__name__


@contextmanager
def _of_any_size() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


of_any_size = WhileNeeded(_of_any_size)
"""Keeps Pillow from warning of large images, where limits of our own follow. Filters are for all threads."""


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open an image with Pillow, its checksums verified; what Pillow raises inside becomes a one-line error.

    Raises
    ------
    SlideError
        If the file is no image that can be read, or has more than `MAX_PIXELS`.
    """
    try:
        with of_any_size():
            verify_png(path)
            image = Image.open(path)
        with image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise _too_large(path, f"{width} x {height} pixels")
            yield image
    except Image.DecompressionBombError as error:
        raise _too_large(path, "hundreds of megapixels") from error
    except DECODE_ERRORS as error:
        reason = why_unreadable(path, error)
        raise SlideError(
            f"{path}: Pillow cannot read it as an image ({reason}): give a sound PNG, JPEG or TIFF"
        ) from error


def _too_large(path: Path, size: str) -> SlideError:
    return SlideError(
        f"{path}: {size} are too many for a plain image: convert it to a pyramidal TIFF "
        "and give that to predict as a slide"
    )


def _to_rgb(path: Path, image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I") or image.mode == "F":
        grey = np.asarray(image)
        if image.mode == "F" or grey.min() < 0 or grey.max() > 65535:
            raise SlideError(f"{path}: pixel values do not have 8 or 16 bits: convert it to an 8-bit PNG")
        return np.repeat((grey // 256).astype(np.uint8)[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))
