"""Masks: pictures whose pixel values or colours represent classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from wsi_seg.data.sources import IGNORE
from wsi_seg.errors import AnnotationError, UsageError
from wsi_seg.slides.picture import DECODE_ERRORS, MAX_PIXELS, of_any_size, verify_png, why_unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.models.classes import ClassSchema, Rgb

UNDEFINED = 254
"""Entry of a look-up table for values without a meaning."""

T = TypeVar("T", int, "NDArray[np.int32]")

BLACK = (0, 0, 0)
MAX_COLORS = 4096
INSTANCE_BASE = 1000
INTEGER_MODES = ("1", "L", "P", "I", "I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True)
class MaskCoding:
    """The meaning of a mask's values.

    Attributes
    ----------
    table : bytes
        For each value from 0 to 255 the class index, `IGNORE` or `UNDEFINED`.
    colors : tuple of (Rgb, int)
        The same for the colours of painted masks.
    painted : bool
        RGB masks hold colours. If False, their channels are equal and hold values.
    per_instance : bool
        A value of 1000 or more is 1000 times the value, plus the number of an instance.
    """

    table: bytes
    colors: tuple[tuple[Rgb, int], ...] = ()
    painted: bool = False
    per_instance: bool = False

    def undefined(self, content: MaskContent) -> list[str]:
        """List the values or colours of a mask that have no meaning."""
        if content.colors and self.painted:
            known = dict(self.colors)
            return [f"rgb{color}".replace(" ", "") for color in sorted(content.colors) if color not in known]
        values = np.array(sorted(content.values), np.int64)
        return [str(value) for value in values[self._look_up(values) == UNDEFINED].tolist()]

    def decode(self, pixels: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Turn the pixels of a mask, as `read_pixels` gives them, into class indices.

        Returns
        -------
        uint8 array, shape (height, width)
            Class indices, `IGNORE` or `UNDEFINED`.
        """
        if pixels.ndim == 2:
            return self._look_up(pixels)
        if self.painted:
            return self._look_up_colors(pixels)
        return self._look_up(pixels[..., 0])

    def _look_up(self, values: NDArray[np.integer]) -> NDArray[np.uint8]:
        table = np.frombuffer(self.table, np.uint8)
        if values.dtype == np.uint8:
            return np.take(table, values)
        if self.per_instance:
            values = np.where(values >= INSTANCE_BASE, values // INSTANCE_BASE, values)
        within = (values >= 0) & (values < len(table))
        return np.where(within, np.take(table, np.where(within, values, 0)), np.uint8(UNDEFINED))

    def _look_up_colors(self, rgb: NDArray[np.integer]) -> NDArray[np.uint8]:
        keys, indices = zip(*sorted((_packed(*color), index) for color, index in self.colors), strict=True)
        pixels = _packed(*np.moveaxis(rgb.astype(np.int32), -1, 0))
        place = np.searchsorted(keys, pixels).clip(max=len(keys) - 1)
        return np.where(np.take(keys, place) == pixels, np.take(indices, place), UNDEFINED).astype(np.uint8)


class MaskContent(NamedTuple):
    """The content of a mask file.

    Attributes
    ----------
    size : (int, int)
        Width and height.
    values : frozenset of int
        The values in it; for RGB masks, those of its first channel.
    colors : frozenset of Rgb
        The colours in an RGB mask; empty for others.
    """

    size: tuple[int, int]
    values: frozenset[int]
    colors: frozenset[Rgb] = frozenset()

    @property
    def painted(self) -> bool:
        """Whether it must hold colours, as the channels of some pixels differ."""
        return any(len(set(color)) > 1 for color in self.colors)


def code_of_ids(schema: ClassSchema) -> MaskCoding:
    """Make the coding of masks that hold a schema's ids, or its colours.

    The value 255 means unknown, and so does black in painted masks unless it is a class's colour.
    """
    return _coding(schema, {c.id: i for i, c in enumerate(schema.classes)})


def code_of_names(
    schema: ClassSchema, names: Mapping[int, str | None], per_instance: bool = False
) -> MaskCoding:
    """Make the coding of a data set's own values.

    Parameters
    ----------
    schema : ClassSchema
        Has a class of each name, or one with such an alias.
    names : mapping of int to str or None
        The class of each value; None for unknown, as 255 always is.
    per_instance : bool
        As in `MaskCoding`.

    Raises
    ------
    UsageError
        If the schema lacks one of the classes.
    """
    table = {value: _index(schema, name) for value, name in names.items()}
    return _coding(schema, table, per_instance)


def _index(schema: ClassSchema, name: str | None) -> int:
    index = IGNORE if name is None else schema.index_of(name)
    if index is None:
        raise UsageError(f"the class schema {schema.name!r} has no class {name!r}: use another schema")
    return index


def _coding(schema: ClassSchema, table: Mapping[int, int], per_instance: bool = False) -> MaskCoding:
    entries = np.full(256, UNDEFINED, np.uint8)
    entries[IGNORE] = IGNORE
    for value, index in table.items():
        entries[value] = index
    every = [c.color for c in schema.classes]
    colors = {color: index for index, color in enumerate(every) if every.count(color) == 1}
    if BLACK not in every:
        colors[BLACK] = IGNORE
    return MaskCoding(entries.tobytes(), tuple(colors.items()), per_instance=per_instance)


def read_mask(path: Path, coding: MaskCoding) -> NDArray[np.uint8]:
    """Read a mask as class indices, shape (height, width), `IGNORE` where the class is unknown.

    Raises
    ------
    AnnotationError
        If it can't be read, or holds a value without a class.
    """
    classes = coding.decode(read_pixels(path))
    if (classes == UNDEFINED).any():
        values = ", ".join(coding.undefined(read_content(path))[:3])
        raise AnnotationError(
            f"{path}: {values} has no class: correct the mask, or add a class to the schema"
        )
    return classes


def read_pixels(path: Path) -> NDArray[np.integer]:
    """Read a mask's values, shape (height, width), or its colours, shape (height, width, 3).

    For palette pictures these are the indices, not the colours.

    Raises
    ------
    AnnotationError
        If it can't be read as a mask.
    """
    pixels = np.asarray(_load(path))
    return pixels.astype(np.uint8) if pixels.dtype == np.bool_ else pixels


def read_content(path: Path) -> MaskContent:
    """Find the values or colours in a mask.

    Raises
    ------
    AnnotationError
        If it can't be read as a mask.
    """
    image = _load(path)
    if image.mode != "RGB":
        return MaskContent(image.size, frozenset(_occurring(np.asarray(image)).tolist()))
    counted = image.getcolors(MAX_COLORS)
    if counted is None:
        raise AnnotationError(f"{path}: more than {MAX_COLORS} colours: give a mask, not a picture")
    colors: frozenset[Rgb] = frozenset(color for _, color in counted)  # type: ignore[misc]
    return MaskContent(image.size, frozenset(color[0] for color in colors), colors)


def _load(path: Path) -> Image.Image:
    """Read a mask in a mode whose pixels are values or RGB colours."""
    try:
        with of_any_size():
            verify_png(path)
            opened = Image.open(path)
        with opened as image:
            if image.width * image.height > MAX_PIXELS:
                size = f"{image.width} x {image.height} pixels"
                raise AnnotationError(
                    f"{path}: {size} are too many for a mask: cut it and its image into tiles"
                )
            if image.format == "JPEG":
                raise AnnotationError(f"{path}: JPEG alters the values of a mask: export it as PNG")
            image.load()
            if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
                return image.convert("RGB")
    except (*DECODE_ERRORS, Image.DecompressionBombError) as error:
        reason = why_unreadable(path, error)
        raise AnnotationError(f"{path}: cannot be read as a mask ({reason}): give a sound PNG") from error
    if image.mode not in ("RGB", *INTEGER_MODES):
        raise AnnotationError(f"{path}: {image.mode} pixels are not classes: export the mask as 8-bit PNG")
    return image


def _occurring(pixels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return the values in an array, in order; for 8 or 16 bits several times as fast as numpy."""
    if pixels.dtype.kind not in "bu" or pixels.dtype.itemsize > 2:
        return np.unique(pixels)
    occurs = np.zeros(2**16, np.bool_)
    occurs[pixels.astype(np.uint8) if pixels.dtype.kind == "b" else pixels] = True
    return np.flatnonzero(occurs)


def _packed(red: T, green: T, blue: T) -> T:
    return (red << 16) + (green << 8) + blue
