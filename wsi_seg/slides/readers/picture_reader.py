"""Pictures (PNG, JPEG, BMP) as slides of one level, decoded once as a whole.

A picture states no resolution that counts: dots per inch are a printer's. And what is not clear is refused,
where a plain image, which bears no polygons, is taken as well as it can be: QuPath shows a picture as it is
stored, whatever orientation it states.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL
from PIL import Image

from wsi_seg.errors import SlideError
from wsi_seg.slides.picture import ORIENTATION, SUFFIXES, opened
from wsi_seg.slides.readers.contract import SlideLevel
from wsi_seg.slides.readers.tiff_pages import is_tiff

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.slides.lattice import Rect

KEPT_BYTES = 1 << 29
"""Of all decoded pictures together; the one used last is kept, whatever its size."""

MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})
"""Pillow's names for samples that become RGB of 8 bits and nothing else."""

PNG_DEPTH = 24
"""Where in a PNG the number of bits per sample is: Pillow cuts 16 bits of colour to 8 and does not say so."""


def is_picture_file(path: Path) -> bool:
    """Return whether a file is a picture: by its name, unless its content is a TIFF's."""
    if path.suffix.lower() not in SUFFIXES or not os.path.isfile(path):
        return False
    try:
        return not is_tiff(path)
    except OSError:
        return True  # it fails as a picture, with the reason


class PictureReader:
    """A picture: a `wsi_seg.slides.readers.contract.Reader`.

    Raises
    ------
    SlideError
        If it cannot be decoded, has too many pixels, is to be shown turned, or is not RGB or grey in 8 bits.
    """

    shifts = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.properties = {"openslide.vendor": "picture"}
        with opened(path) as image:
            self.format = str(image.format).lower()
            _refuse_unclear(path, image)
            profile = image.info.get("icc_profile")
            self.icc_profile: bytes | None = profile if isinstance(profile, bytes) else None
            width, height = image.size
            status = path.stat()
            self._key = (path.resolve(), status.st_size, status.st_mtime_ns)
            _kept.get(self._key, image)
        self.levels = (SlideLevel(width, height, 1.0, 1.0, width, height, exact=True),)

    @property
    def how(self) -> str:
        """The software that decodes the pixels, and why it is this software."""
        return f"Pillow {PIL.__version__}: a picture, in one level"

    def close(self) -> None:
        """Do nothing: no file is kept open."""

    def read(self, index: int, rect: Rect) -> tuple[NDArray[np.uint8], list[Rect]]:
        """Read a rectangle, in pixels: see `wsi_seg.slides.readers.contract.Reader.read`."""
        level = self.levels[index]
        inside = rect.clipped(level.width, level.height)
        rgba = np.zeros((rect.height, rect.width, 4), dtype=np.uint8)
        if inside.area:
            whole = _kept.get(self._key)
            if whole.shape[:2] != (level.height, level.width):
                raise SlideError(f"{self.path}: was changed while it was read: run the same command again")
            pixels = whole[inside.slices]
            window = rgba[inside.relative_to(rect).slices]
            window[..., 3] = 255
            window[..., : pixels.shape[-1]] = pixels
        return rgba, []


Key = tuple[Path, int, int]
"""A file, its size, and when it was last written to, in nanoseconds."""


class _Kept:
    """Decoded pictures of this process, whoever reads them. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pictures: OrderedDict[Key, NDArray[np.uint8]] = OrderedDict()

    def get(self, key: Key, image: Image.Image | None = None) -> NDArray[np.uint8]:
        """Return a picture's RGB or RGBA, shape (height, width, 3 or 4); `image` is that, if it is open."""
        with self._lock:
            found = self._pictures.get(key)
            if found is None:
                found = self._pictures[key] = _decode(key[0]) if image is None else _to_array(image)
            self._pictures.move_to_end(key)
            while len(self._pictures) > 1 and sum(p.nbytes for p in self._pictures.values()) > KEPT_BYTES:
                self._pictures.popitem(last=False)
            return found


_kept = _Kept()


def _decode(path: Path) -> NDArray[np.uint8]:
    with opened(path) as image:
        return _to_array(image)


def _to_array(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))


def _refuse_unclear(path: Path, image: Image.Image) -> None:
    """Refuse a picture whose pixels, or the way they are to be shown, are not clear."""
    turned = image.getexif().get(ORIENTATION, 1)
    if turned != 1:
        raise SlideError(
            f"{path}: is to be shown turned (EXIF orientation {turned}), which QuPath does not do, so "
            "polygons would lie elsewhere: save it upright"
        )
    depth = 8
    if image.format == "PNG":
        with path.open("rb") as file:
            depth = file.read(PNG_DEPTH + 1)[PNG_DEPTH]
    if depth > 8 or image.mode.startswith(("I", "F")):
        raise SlideError(f"{path}: holds more than 8 bits per sample: convert it to 8 bits per channel")
    if image.mode not in MODES:
        raise SlideError(f"{path}: its colours are {image.mode}: convert it to RGB")
    pictures = getattr(image, "n_frames", 1)
    if pictures > 1 and image.format != "MPO":  # a JPEG with previews of itself
        raise SlideError(f"{path}: holds {pictures} pictures: save one of them as a file of its own")
