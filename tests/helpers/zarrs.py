"""OME-Zarr images as other programs write them, written with zarr alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from conftest import tissue_rgb
from numpy.typing import NDArray

from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.readers.reader_choice import open_reader

HEIGHT, WIDTH = 300, 420
RGB = tissue_rgb(HEIGHT, WIDTH)
CHUNK = 128
ALL = Rect(0, 0, HEIGHT, WIDTH)

TYPES = {"c": "channel", "t": "time"}


def arranged(rgb: NDArray[Any], axes: str) -> NDArray[Any]:
    """Return a picture, (height, width, 3), with its axes as named; others than c, y and x have one place."""
    rgb = rgb if "c" in axes else rgb[..., 0]
    pixels = rgb.transpose(["yxc".index(axis) for axis in axes if axis in "yxc"])
    return pixels.reshape([rgb.shape["yxc".index(axis)] if axis in "yxc" else 1 for axis in axes])


def write_zarr(
    path: Path,
    rgb: NDArray[Any] = RGB,
    *,
    axes: str = "cyx",
    ngff: str = "0.5",
    levels: int = 1,
    mpp: float = 2.0,
    unit: str | None = "micrometer",
    shard: bool = False,
    omero: dict[str, Any] | None = None,
    **options: Any,
) -> Path:
    """Write an image with levels of every second pixel; chunks hold one channel and `CHUNK` px on a side."""
    datasets = []
    for level in range(levels):
        pixels = arranged(rgb[:: 2**level, :: 2**level], axes)
        side = {"y": CHUNK, "x": CHUNK}
        settings: dict[str, Any] = {
            "chunks": tuple(side.get(axis, 1) for axis in axes),
            "zarr_format": 2 if ngff == "0.4" else 3,
            "fill_value": 0,
            **({"shards": tuple(2 * side[a] if a in side else 1 for a in axes)} if shard else {}),
            **options,
        }
        array = zarr.create_array(path / str(level), shape=pixels.shape, dtype=pixels.dtype, **settings)
        array[...] = pixels
        scale = [mpp * 2**level if axis in "yx" else 1.0 for axis in axes]
        datasets.append(
            {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        )
    described = [{"name": axis, "type": TYPES.get(axis, "space")} for axis in axes]
    if unit is not None:
        for axis in described:
            if axis["type"] == "space":
                axis["unit"] = unit
    content: dict[str, Any] = {"multiscales": [{"axes": described, "datasets": datasets}]}
    if omero is not None:
        content["omero"] = omero
    write_attributes(path, content, ngff)
    return path


def write_attributes(path: Path, content: dict[str, Any], ngff: str = "0.5") -> None:
    """Write a group's metadata with OME-Zarr's own: 0.5 has a key for it, 0.4 has none."""
    path.mkdir(parents=True, exist_ok=True)
    if ngff == "0.4":
        stated = {**content}
        if "multiscales" in content:
            stated["multiscales"] = [{"version": "0.4", **one} for one in content["multiscales"]]
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        (path / ".zattrs").write_text(json.dumps(stated))
    else:
        group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": ngff, **content}}}
        (path / "zarr.json").write_text(json.dumps(group))


def attributes(path: Path) -> dict[str, Any]:
    """Return OME-Zarr's own metadata of a 0.5 image, to be changed and written with `write_attributes`."""
    content = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]
    return {name: value for name, value in content.items() if name != "version"}


def restated(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change OME-Zarr's own metadata of a 0.5 image."""
    content = attributes(path)
    change(content)
    write_attributes(path, content)
    return path


def pixels_of(path: Path, rect: Rect = ALL, level: int = 0) -> NDArray[np.uint8]:
    """Read red, green and blue of a level's rectangle, all of which must be there."""
    reader = open_reader(path)
    rgba, unreadable = reader.read(level, rect)
    reader.close()
    assert unreadable == []
    assert (rgba[..., 3] == 255).all()
    return rgba[..., :3]
