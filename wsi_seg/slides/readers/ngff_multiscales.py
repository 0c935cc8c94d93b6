"""What OME-Zarr metadata, NGFF 0.4 and 0.5, says of an image: its levels, axes, scales and channels.

Sources: the specifications of OME-NGFF 0.4 and 0.5 (https://ngff.openmicroscopy.org), sections "multiscales"
and "omero". A scale and a translation place the centres of a level's pixels.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from wsi_seg.errors import SlideError
from wsi_seg.slides.readers.lengths import NGFF_UM
from wsi_seg.slides.readers.ome import WHITE, OmeChannel
from wsi_seg.slides.readers.zarr_store import EXPORT_AGAIN, JsonObject, Node

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VERSIONS = re.compile(r"0\.[45](\.\d+)?")
MAX_LEVELS = 64
FULL_RANGES = frozenset((1 << bits) - 1 for bits in range(8, 16))
"""Largest numbers of 8 to 15 bits. That of 16 states nothing: programs write it for all samples of 16."""

CONVERT = "convert it to OME-Zarr 0.4 or 0.5"

Step = tuple[tuple[float, ...], tuple[float, ...]]
"""Factors and shifts, one for each axis."""


@dataclass(frozen=True)
class NgffLevel:
    """One level, as it is stated.

    Attributes
    ----------
    path : str
        Of its array, inside the image's group.
    scale, translation : tuple of float
        One for each axis, in the axis's unit.
    """

    path: str
    scale: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True)
class NgffImage:
    """One multiscale image.

    Attributes
    ----------
    group : Path
        The folder that its levels lie in.
    name : str
        Where the image is in the store: empty for the root.
    axes : tuple of str
        Their names, in lower case, in the order of the arrays' dimensions; a channel axis is called "c".
    units : tuple of str
        Of each axis; empty where none is stated.
    levels : tuple of NgffLevel
        From the finest to the coarsest.
    channels : tuple of OmeChannel
        Those that are described; there may be more.
    significant_bits : int or None
        How many bits of each sample count, if the range that the channels state says so.
    """

    group: Path
    name: str
    axes: tuple[str, ...]
    units: tuple[str, ...]
    levels: tuple[NgffLevel, ...]
    channels: tuple[OmeChannel, ...]
    significant_bits: int | None = None

    @property
    def mpp(self) -> tuple[float, float] | None:
        """Micrometres per pixel of the finest level in x and y; None where no unit of length is stated."""
        sides = []
        for axis in "xy":
            at = self.axes.index(axis)
            um = NGFF_UM.get(self.units[at].lower().replace("metre", "meter"))
            if um is None:
                return None
            sides.append(self.levels[0].scale[at] * um)
        return sides[0], sides[1]


def read_multiscales(group: Path, name: str, stated: JsonObject) -> tuple[NgffImage, ...]:
    """Read every multiscale image of a group.

    Parameters
    ----------
    group : Path
    name : str
        Where the group is in its store.
    stated : dict
        OME-Zarr's part of its attributes, as `ome_part` returns it.

    Raises
    ------
    SlideError
        If there is none, or its metadata is damaged, or of another version.
    """
    listed = stated.get("multiscales")
    if not isinstance(listed, list) or not listed:
        raise SlideError(f"{group}: its multiscales are empty: {EXPORT_AGAIN}")
    images = []
    for multiscale in listed:
        try:
            version = stated.get("version", multiscale.get("version", "0.4"))
            if not VERSIONS.fullmatch(str(version)):
                raise SlideError(f"{group}: is OME-Zarr {version}, which is not read: {CONVERT}")
            images.append(_multiscale(group, name, multiscale, stated))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise SlideError(
                f"{group}: its OME-Zarr metadata is damaged or incomplete ({_said(error)}): {EXPORT_AGAIN}"
            ) from error
    return tuple(images)


def _multiscale(group: Path, name: str, multiscale: JsonObject, stated: JsonObject) -> NgffImage:
    axes = multiscale["axes"]
    if not all(isinstance(axis, dict) for axis in axes):
        raise SlideError(f"{group}: its axes are those of an OME-Zarr before 0.4: {CONVERT}")
    names = tuple("c" if axis.get("type") == "channel" else str(axis["name"]).lower() for axis in axes)
    if len(set(names)) < len(names) or not {"x", "y"}.issubset(names):
        raise SlideError(f"{group}: its axes are {', '.join(names)}: x and y are needed, each once")
    common = _transforms(multiscale, len(names))
    datasets = multiscale["datasets"]
    if not 0 < len(datasets) <= MAX_LEVELS:
        raise ValueError(f"{len(datasets)} levels")
    return NgffImage(
        group=group,
        name=name,
        axes=names,
        units=tuple(str(axis.get("unit") or "") for axis in axes),
        levels=tuple(_level(group, dataset, len(names), common) for dataset in datasets),
        channels=tuple(map(_channel, _described(stated))),
        significant_bits=_bits_of_range(_described(stated)),
    )


def _level(group: Path, dataset: JsonObject, count: int, common: list[Step]) -> NgffLevel:
    scale, translation = (1.0,) * count, (0.0,) * count
    for factors, shift in (*_transforms(dataset, count), *common):
        scale = tuple(a * b for a, b in zip(scale, factors, strict=True))
        translation = tuple(a * b + c for a, b, c in zip(translation, factors, shift, strict=True))
    if not all(0 < factor < math.inf for factor in scale) or not all(map(math.isfinite, translation)):
        raise ValueError("a scale that is not positive")
    return NgffLevel(inside(group, dataset["path"]), scale, translation)


def _transforms(stated: JsonObject, count: int) -> list[Step]:
    """Return the steps from pixels to lengths, in order: factors and shifts for each axis."""
    steps: list[Step] = []
    for transform in stated.get("coordinateTransformations") or []:
        kind = transform["type"]
        if kind == "identity":
            continue
        if kind not in ("scale", "translation"):
            raise ValueError(f"a transformation of the type {str(kind)[:40]}")
        values = tuple(float(value) for value in transform[kind])
        if len(values) != count:
            raise ValueError(f"a {kind} of {len(values)} numbers for {count} axes")
        ones, zeros = (1.0,) * count, (0.0,) * count
        steps.append((values, zeros) if kind == "scale" else (ones, values))
    return steps


def _described(stated: JsonObject) -> Sequence[Any]:
    """Return the channels that the section "omero" describes."""
    omero = stated.get("omero")
    return (omero.get("channels") if isinstance(omero, dict) else None) or ()


def _bits_of_range(channels: Sequence[Any]) -> int | None:
    """Return of how many bits the samples are, if all channels state the range of such a number.

    "min" and "max" of a channel's window bound its values. Many programs write those that they found, which
    state nothing. "start" and "end" are how a viewer shows it.
    """
    windows = [channel.get("window") or {} for channel in channels]
    ranges = {(window.get("min"), window.get("max")) for window in windows}
    if len(ranges) != 1:
        return None
    ((least, greatest),) = ranges
    if least != 0 or not isinstance(greatest, (int, float)) or greatest not in FULL_RANGES:
        return None
    return int(greatest).bit_length()


def _channel(stated: JsonObject) -> OmeChannel:
    written = str(stated.get("color") or "").lstrip("#")
    rgb = tuple(bytes.fromhex(written)) if re.fullmatch(r"[0-9a-fA-F]{6}", written) else None
    color = None if rgb is None or rgb == WHITE else (rgb[0], rgb[1], rgb[2])
    return OmeChannel(str(stated.get("label") or "").strip(), color, fluorescent=False)


def ome_part(node: Node) -> JsonObject:
    """Return the part of a group's attributes that is OME-Zarr's: 0.5 has it under one key."""
    stated = node.attributes.get("ome", node.attributes)
    return stated if isinstance(stated, dict) else {}


def inside(folder: Path, path: object) -> str:
    """Return a path that metadata states, after checking that it lies inside of its folder.

    Raises
    ------
    SlideError
        If it does not.
    """
    parts = PurePosixPath(path).parts if isinstance(path, str) else ()
    if not parts or parts[0] == "/" or ".." in parts:
        raise SlideError(
            f"{folder}: its metadata points to {str(path)[:80]!r}, outside of it: {EXPORT_AGAIN}"
        )
    return str(path)


def _said(error: Exception) -> str:
    missing = isinstance(error, KeyError)
    return f"{error} is missing" if missing else " ".join(str(error).split())[:120]
