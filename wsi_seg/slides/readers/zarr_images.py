"""The images that a Zarr holds, and which of them is the slide; or what it is, if it is no image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.errors import SlideError, UsageError
from wsi_seg.slides.readers.ngff_multiscales import NgffImage, inside, ome_part, read_multiscales
from wsi_seg.slides.readers.zarr_store import EXPORT_AGAIN, is_store, read_node

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class ListedImage:
    """One image of a store, and whether it is the one that is read."""

    index: int
    name: str
    width: int
    height: int
    read: bool
    left_out: tuple[()] = ()


def images_of(path: Path) -> tuple[NgffImage, ...]:
    """Return the images that an OME-Zarr holds: one, or the series of a bioformats2raw layout.

    Raises
    ------
    SlideError
        If it holds none, or is something else, or its metadata is damaged: one line that names it.
    """
    other = no_image(path)
    if other is not None:
        raise SlideError(f"{path}: {other[0]}: {other[1]}")
    stated = ome_part(read_node(path))
    if "multiscales" in stated:
        return read_multiscales(path, "", stated)
    return tuple(image for name in _series(path) for image in _in_series(path, name))


def no_image(path: Path) -> tuple[str, str] | None:
    """Return what a Zarr is that is no image, and the remedy; None if it is one.

    Raises
    ------
    SlideError
        If its metadata is missing or damaged.
    """
    node = read_node(path)
    stated = ome_part(node)
    tissue = path / "labels" / "tissue"
    if node.kind == "array":
        return "is a Zarr array, not an OME-Zarr image", "name the folder that it lies in"
    if "wsi_seg" in node.attributes or (tissue.is_dir() and "wsi_seg" in read_node(tissue).attributes):
        return "is a result of wsi-seg, not a slide", "name the slide that it was made from"
    if "image-label" in stated:
        return "is a label image, not a slide", "name the slide that it was made from"
    for several in ("plate", "well"):
        if several in stated:
            return f"is an OME-Zarr {several} of several images", "name the folder of one of them"
    if "multiscales" in stated or "bioformats2raw.layout" in stated:
        return None
    return "is a Zarr, but no OME-Zarr image (it has no multiscales)", "name the folder of an image"


def choose_image(path: Path, images: Sequence[NgffImage], series: int | None) -> int:
    """Return the number of the image that is the slide: the largest in colour, or the one named.

    Parameters
    ----------
    path : Path
        Named in errors.
    images : sequence of NgffImage
    series : int or None
        The number that the user names.

    Raises
    ------
    UsageError
        If no image has that number.
    SlideError
        If an image's metadata is damaged.
    """
    if series is None and len(images) == 1:
        return 0
    if series is None:
        return max(range(len(images)), key=lambda i: _rank(images[i]))
    if series < len(images):
        return series
    last = len(images) - 1
    raise UsageError(f"{path}: has no image {series}: give --series {'0' if last == 0 else f'0 to {last}'}")


def list_images(path: Path, series: int | None = None) -> list[ListedImage]:
    """Return the images of a store.

    Raises
    ------
    SlideError
        If the path is none, or its metadata is damaged.
    """
    images = images_of(path)
    chosen = choose_image(path, images, series)
    sides = [_sides(image) for image in images]
    return [
        ListedImage(index, image.name, side["x"], side["y"], read=index == chosen)
        for index, (image, side) in enumerate(zip(images, sides, strict=True))
    ]


def _rank(image: NgffImage) -> tuple[bool, int]:
    """Return whether an image has three channels, and its area."""
    sides = _sides(image)
    return sides.get("c", 1) == 3, sides["y"] * sides["x"]


def _sides(image: NgffImage) -> dict[str, int]:
    """Return the length of an image's finest level along each axis, by its metadata."""
    shape = read_node(image.group / image.levels[0].path).array.get("shape")
    try:
        return {axis: int(length) for axis, length in zip(image.axes, shape or (), strict=True)}
    except (TypeError, ValueError):
        raise SlideError(f"{image.group}: the shape of its levels is damaged: {EXPORT_AGAIN}") from None


def _in_series(path: Path, name: str) -> tuple[NgffImage, ...]:
    stated = ome_part(read_node(path / inside(path, name)))
    return read_multiscales(path / name, name, stated)


def _series(path: Path) -> list[str]:
    """Return the names of the groups that hold the series: as listed, else "0", "1" and so on."""
    if is_store(path / "OME"):
        listed = ome_part(read_node(path / "OME")).get("series")
        if isinstance(listed, list) and listed and all(isinstance(name, str) for name in listed):
            return listed
    found: list[str] = []
    while (path / str(len(found))).is_dir():
        found.append(str(len(found)))
    if not found:
        raise SlideError(f"{path}: lists no image (its folder 0 is missing): {EXPORT_AGAIN}")
    return found
